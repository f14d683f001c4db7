"""The stages by themselves, on arrays made by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tastemaker.clock import from_us
from tastemaker.events.item import Item
from tastemaker.retrieval.blend import unite
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.source import Query, Retrieved
from tastemaker.serving.breaker import CircuitBreaker
from tastemaker.serving.context import ShopperContext
from tastemaker.serving.contract import Filters, RecommendationRequest
from tastemaker.serving.exposure import Exposure, shown_discount
from tastemaker.serving.recipe import SessionPolicy
from tastemaker.serving.rerank.compiled_rules import NO_RULES
from tastemaker.serving.rerank.policy import RerankPolicy
from tastemaker.serving.stages.candidates import CandidatesInput, look_for
from tastemaker.serving.stages.context import with_page
from tastemaker.serving.stages.filtering import FilteringInput, filtered
from tastemaker.serving.stages.rerank import RerankStageInput, rerank_list
from tastemaker.serving.stages.runner import StageClock
from tastemaker.serving.text_match import text_match
from tastemaker.serving.weighing import standardised

HOUR_US = 3_600_000_000
NOW_US = 1_000 * HOUR_US


def rows(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


def floats(*values: float) -> Any:
    return np.array(values, dtype=np.float32)


@pytest.fixture
def catalogue() -> Catalogue:
    items = [
        Item(item_id="mug", title="Red mug", category=("kitchen", "mugs"), price=4.0, created_at=from_us(0)),
        Item(item_id="pan", title="Pan", category=("kitchen",), price=20.0, created_at=from_us(0)),
        Item(item_id="rake", title="Rake", category=("garden",), created_at=from_us(0)),
        Item(item_id="sold", title="Sold", category=("garden",), price=1.0, created_at=from_us(0), available=False),
    ]
    return Catalogue(tuple(item.item_id for item in items), tuple(items), np.eye(4, dtype=np.float32), 4)


@pytest.fixture
def nobody() -> ShopperContext:
    none, nothing = rows(), floats()
    query = Query(None, none, nothing, none, nothing, none, nothing, none, nothing)
    return ShopperContext(None, (none, none, none), query, np.zeros((0, 3), dtype=np.float32))


class Given:
    """A source with an answer, or a failure."""

    def __init__(self, name: str, *found: int, fails: bool = False) -> None:
        self.name, self._found, self._fails = name, found, fails

    def retrieve(self, query: Query, n: int) -> Retrieved:
        if self._fails:
            raise OSError("the file is gone")
        return Retrieved(rows(*self._found[:n]), floats(*(1.0 / (1 + at) for at in range(len(self._found[:n])))))


def test_runner_adds_up_a_stage_that_runs_twice_and_counts_one_that_fails() -> None:
    ticks = iter([0, 10_000, 30_000, 40_000, 45_000, 50_000, 51_000, 60_000])
    clock = StageClock(None, lambda: next(ticks))
    assert clock.run("filtering", len, "abc") == 3
    clock.run("filtering", len, "")
    with pytest.raises(ZeroDivisionError):
        clock.run("ranking", lambda given: given / 0, 1)
    assert clock.stages_us == {"filtering": 25, "ranking": 1}


def test_runner_tells_how_much_of_the_budget_is_left() -> None:
    now = [0]
    clock = StageClock(10.0, lambda: now[0])
    now[0] = 4_000_000
    assert (clock.short_of(5.0), clock.short_of(7.0)) == (False, True)
    assert not StageClock(None, lambda: now[0]).short_of(1e9)


def test_context_finds_the_items_of_the_page_once_each_and_tells_the_unknown(
    catalogue: Catalogue, nobody: ShopperContext
) -> None:
    request = RecommendationRequest(items=("pan", "cup", "mug", "pan"), category="kitchen")
    shopper, unknown_items = with_page(nobody, request, catalogue)
    assert shopper.query.items.tolist() == [1, 0]
    assert (unknown_items, shopper.query.category) == (("cup",), "kitchen")
    removed = catalogue.updated([("pan", None)], lambda items, codes: np.zeros((len(items), 4), dtype=np.float32))
    assert with_page(nobody, request, removed)[1] == ("pan", "cup")


def test_candidates_of_a_source_that_fails_are_left_out_and_its_reason_is_told(nobody: ShopperContext) -> None:
    breaker = CircuitBreaker("index", failures=2)
    sources = {"two_tower": Given("two_tower", fails=True), "trending": Given("trending", 3, 1)}
    given = CandidatesInput(sources, {"two_tower": 5, "trending": 5}, nobody.query, {"two_tower": breaker}, None)
    found = look_for(given)
    assert found.candidates.rows.tolist() == [3, 1]
    assert "file is gone" in found.without["two_tower"]
    look_for(given)
    assert not breaker.allows()


def test_a_source_that_is_asked_for_nothing_keeps_its_column(nobody: ShopperContext) -> None:
    sources = {"two_tower": Given("two_tower", 2), "trending": Given("trending", 3)}
    found = look_for(CandidatesInput(sources, {"two_tower": 0, "trending": 1}, nobody.query, {}, None)).candidates
    assert (found.rows.tolist(), found.sources) == ([3], ("two_tower", "trending"))


@pytest.mark.parametrize(
    ("filters", "asked", "kept", "removed"),
    [
        (("in_catalogue", "available", "not_excluded"), Filters(), [0, 2], {"available": 1, "not_excluded": 1}),
        (("not_given",), Filters(), [1, 2, 3], {"not_given": 1}),
        (("in_category",), Filters(), [0, 1], {"in_category": 2}),
        (("within_filters",), Filters(price_max=4.0), [0, 3], {"within_filters": 2}),  # the rake has no price
        (("within_filters",), Filters(categories=("kitchen/mugs", "garden")), [0, 2, 3], {"within_filters": 1}),
        (("within_filters",), Filters(categories=("kitch",)), [], {"within_filters": 4}),
        (("not_just_bought", "not_dismissed"), Filters(), [0, 1], {"not_just_bought": 1, "not_dismissed": 1}),
        ((), Filters(), [0, 1, 2, 3], {}),
    ],
)
def test_filtering_counts_what_each_filter_takes_out(
    catalogue: Catalogue, nobody: ShopperContext, *, filters: Any, asked: Filters, kept: list[int], removed: Any
) -> None:
    purchase = 6  # of EVENT_TYPES
    shopper = replace(
        nobody,
        query=replace(nobody.query, items=rows(0), category="kitchen"),
        history=(rows(3, 0), rows(purchase, purchase), rows(NOW_US - HOUR_US // 2, NOW_US - 2 * HOUR_US)),
        exposure=Exposure(rows(2, 1), np.array([True, False]), rows(NOW_US - 1, NOW_US - 1)),
    )
    candidates = unite(("trending",), {"trending": Retrieved(rows(0, 1, 2, 3), floats(4, 3, 2, 1))})
    found = filtered(FilteringInput(candidates, shopper, catalogue, rows(1), asked, filters, SessionPolicy(), NOW_US))
    assert (found.candidates.rows.tolist(), found.removed) == (kept, removed)


def test_discount_of_what_was_shown_counts_beyond_the_free_times_and_within_the_hours() -> None:
    shown = rows(7, 7, 7, 7, 7, 9, 8)
    times = rows(*[NOW_US - HOUR_US] * 6, NOW_US - 30 * HOUR_US)
    exposure = Exposure(shown, np.zeros(7, dtype=np.bool_), times)
    policy = SessionPolicy(shown_free=3, shown_discount=0.1, shown_hours=24)
    found = shown_discount(floats(1.0, 0.0, 0.5), rows(7, 8, 9), exposure, policy, NOW_US)
    # Row 7 was shown 5 times, 2 beyond the free ones: 2 × .1 × (1 - .5) = .1. Row 8 was shown a day before yesterday.
    np.testing.assert_allclose(found, [0.1, 0.0, 0.0], rtol=1e-6)


def test_standardised_puts_what_a_source_did_not_name_below_what_it_did() -> None:
    found = standardised(floats(2.0, np.nan, 1.0))
    # 2, 0, 1: mean 1, deviation sqrt(2/3)
    np.testing.assert_allclose(found, np.array([1.0, -1.0, 0.0]) / np.sqrt(2 / 3), rtol=1e-5)
    assert standardised(floats(3.0, 3.0)).tolist() == [0.0, 0.0]


def test_text_match_weighs_rare_words_and_takes_beginnings_for_half() -> None:
    found = text_match("red candle", ["Red candles", "Red mug", "Candle", "Plate"])
    assert found.argmax() == 0
    assert found[3] == 0.0
    assert text_match("!?", ["Plate"]).tolist() == [0.0]
    assert text_match("plate", []).tolist() == []


def test_rerank_leaves_the_order_where_nothing_asks_for_another(catalogue: Catalogue) -> None:
    given = RerankStageInput(rows(0, 1), floats(2, 1), 1, catalogue, None, NO_RULES, 7, NOW_US)
    assert rerank_list(given) is None


def test_rerank_puts_the_list_first_and_keeps_the_other_candidates(catalogue: Catalogue) -> None:
    capped = RerankPolicy.model_validate({"new_items": {"share": 1.0, "younger_than_days": 1e6}})
    given = RerankStageInput(rows(0, 1), floats(1, 2), 1, catalogue, capped, NO_RULES, 7, NOW_US)
    found = rerank_list(given)
    assert found is not None
    assert (found.order.tolist(), found.listed) == ([1, 0], 1)
