"""The masks that searches get allow what the rules keep."""

from datetime import UTC, datetime

import numpy as np
import pytest

from tastemaker.events.item import Item
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.contract import Filters
from tastemaker.serving.filter_masks import FilterMasks
from tastemaker.serving.filters import FilterInput, apply_filters

AT = datetime(2026, 3, 1, tzinfo=UTC)
PATHS = (("kitchen", "tea"), ("kitchen", "mugs"), ("garden",), ())
BOUGHT = np.array([0, 5, 9, 14])


def item(number):
    return Item(
        item_id=f"i{number}",
        title=f"number {number}",
        category=PATHS[number % 4],
        price=None if number % 5 == 4 else float(number),
        available=number % 7 != 6,
        created_at=AT,
    )


@pytest.fixture(scope="module")
def catalogue():
    items = tuple(None if number == 11 else item(number) for number in range(20))
    return Catalogue(tuple(f"i{number}" for number in range(20)), items, np.zeros((20, 2), dtype=np.float32), 20)


@pytest.mark.parametrize(
    ("filters", "category"),
    [
        (Filters(categories=("kitchen",)), ""),
        (Filters(categories=("kitchen/tea", "garden"), price_max=12.0), ""),
        (Filters(price_min=3.0, price_max=16.0, bought=False), ""),
        (Filters(bought=True), ""),
        (Filters(bought=True, price_min=6.0), "kitchen"),
        (Filters(categories=("attic",)), ""),
        (Filters(), "garden"),
    ],
)
def test_what_is_allowed_is_what_the_rules_keep(catalogue, filters, category):
    allowed = FilterMasks(catalogue).allowed(filters, BOUGHT, category)
    rules = ["in_catalogue", "available", "within_filters", *(["in_category"] if category else [])]
    every = np.arange(20)
    given = FilterInput(every, catalogue, every[:0], category=category, asked=filters, bought=BOUGHT)
    assert allowed.rows.tolist() == every[apply_filters(given, rules)[0]].tolist()


def test_a_request_without_filters_needs_no_mask(catalogue):
    assert FilterMasks(catalogue).allowed(Filters(), BOUGHT) is None
    assert FilterMasks(catalogue).allowed(Filters(available=False), BOUGHT) is None


def test_a_mask_is_shared_by_shoppers_and_forgotten_when_others_are_asked_for(catalogue):
    masks = FilterMasks(catalogue, kept=2)
    tea = masks.allowed(Filters(categories=("kitchen/tea",)), BOUGHT)
    own = masks.allowed(Filters(categories=("kitchen/tea",), bought=False), BOUGHT)
    assert own.mask is tea.mask
    masks.allowed(Filters(price_min=1.0), BOUGHT)
    masks.allowed(Filters(price_min=2.0), BOUGHT)
    assert masks.allowed(Filters(categories=("kitchen/tea",)), BOUGHT).mask is not tea.mask
