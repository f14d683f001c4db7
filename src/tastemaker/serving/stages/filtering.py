"""The filtering stage: what the recipe's filters, the request and the newest events take out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.blend import Blend
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.context import ShopperContext
from tastemaker.serving.contract import Filters
from tastemaker.serving.filters import FilterInput, FilterName, apply_filters
from tastemaker.serving.recipe import SessionPolicy

__all__ = ["FilteringInput", "Kept", "filtered"]

_MINUTE_US = 60_000_000
_DAY_US = 86_400_000_000


@dataclass(frozen=True, eq=False)
class FilteringInput:
    """What the stage is given.

    Attributes:
        candidates: in any order.
        shopper: who asks.
        catalogue: what the items are.
        excluded: int64, rows that the request excludes.
        asked: filters of the request.
        filters: names, of the recipe.
        session: of the recipe.
        now_us: the moment, in microseconds.
    """

    candidates: Blend
    shopper: ShopperContext
    catalogue: Catalogue
    excluded: npt.NDArray[np.int64]
    asked: Filters
    filters: Sequence[FilterName]
    session: SessionPolicy
    now_us: int


@dataclass(frozen=True, eq=False)
class Kept:
    """What is left.

    Attributes:
        candidates: in the order in which they came.
        removed: by filter, how many it took out.
    """

    candidates: Blend
    removed: Mapping[str, int]


def filtered(given: FilteringInput) -> Kept:
    """Apply the filters."""
    shopper, session = given.shopper, given.session
    keep, removed = apply_filters(
        FilterInput(
            given.candidates.rows,
            given.catalogue,
            given.excluded,
            given=shopper.query.items,
            category=shopper.query.category,
            asked=given.asked,
            bought=shopper.bought_ever if given.asked.bought is not None else given.excluded[:0],
            just_bought=shopper.bought_since(given.now_us - round(session.bought_minutes * _MINUTE_US)),
            dismissed=shopper.exposure.dismissed_since(given.now_us - round(session.dismissed_days * _DAY_US)),
        ),
        given.filters,
    )
    return Kept(given.candidates.only(keep) if removed else given.candidates, removed)
