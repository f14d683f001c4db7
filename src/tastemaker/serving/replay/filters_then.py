"""Which of a surface's filters take an item out, by what the lake knew of it as of the list."""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.events.item import Item
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.source import NO_ROWS
from tastemaker.serving.contract import ServedList
from tastemaker.serving.filters import FilterInput, apply_filters
from tastemaker.serving.recipe import Recipe

__all__ = ["IN_WORDS", "taken_out_by"]

_MINUTE_US: Final = 60_000_000
_DAY_US: Final = 86_400_000_000
_HISTORIES: Final = (names.VIEW_USER_HISTORY, names.VIEW_SESSION_HISTORY)
_EXPOSURES: Final = (names.VIEW_USER_EXPOSURE, names.VIEW_SESSION_EXPOSURE)

IN_WORDS: Final[Mapping[str, str]] = {
    "in_catalogue": "it was not in the catalogue",
    "available": "it could not be bought",
    "not_excluded": "the request excludes it",
    "not_given": "it is an item that the list goes with",
    "within_filters": "it is not what the request's filters say",
    "in_category": "it is not of the page's category",
    "not_just_bought": "the shopper had bought it a moment before",
    "not_dismissed": "the shopper had said that they do not want it",
}


def taken_out_by(served: ServedList, recipe: Recipe, item_id: str, item: Item | None, *, bought: bool) -> list[str]:
    """Names of the filters that take an item out of a list.

    Args:
        served: the list: its request and the shopper's newest events count.
        recipe: of its surface.
        item_id: of the item.
        item: as it was then; None if the catalogue did not have it.
        bought: whether the shopper had ever bought it.
    """
    request, now_us = served.request, to_us(served.served_at)
    catalogue = Catalogue((item_id,), (item,), np.zeros((1, 0), dtype=np.float32), 1)
    assert len(catalogue.leaf), "numbers the item's category, which filters ask for"
    just = now_us - round(recipe.session.bought_minutes * _MINUTE_US)
    lately = now_us - round(recipe.session.dismissed_days * _DAY_US)
    given = FilterInput(
        np.zeros(1, dtype=np.int64),
        catalogue,
        _row(item_id in request.exclude),
        given=_row(item_id in request.items),
        category=request.category or "",
        asked=request.filters,
        bought=_row(bought or _has(served, _HISTORIES, item_id, "purchase", -1)),
        just_bought=_row(_has(served, _HISTORIES, item_id, "purchase", just)),
        dismissed=_row(_has(served, _EXPOSURES, item_id, "dislike", lately)),
    )
    return [name for name in recipe.filters if apply_filters(given, [name])[1]]


def _row(counts: bool) -> npt.NDArray[np.int64]:
    return np.zeros(1, dtype=np.int64) if counts else NO_ROWS


def _has(served: ServedList, views: Collection[str], item_id: str, kind: str, since_us: int) -> bool:
    """Whether the shopper's logged events have one of a kind about the item after a moment."""
    return any(
        event[0] == item_id and event[1] == kind and event[2] > since_us
        for view in views
        for event in served.histories.get(view, ())
    )
