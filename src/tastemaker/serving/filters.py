"""Filters: what may not be shown. Each is a plain function with a name, counted in the served list.

A recipe names those of its surface. What the shop's rules take out is said in :mod:`tastemaker.serving.rerank`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.source import NO_ROWS
from tastemaker.serving.contract import Filters

__all__ = ["FilterInput", "FilterName", "apply_filters"]

FilterName = Literal[
    "in_catalogue",
    "available",
    "not_excluded",
    "not_given",
    "within_filters",
    "in_category",
    "not_just_bought",
    "not_dismissed",
]

_ANYTHING: Final = Filters()


@dataclass(frozen=True, eq=False)
class FilterInput:
    """What a filter decides on.

    Attributes:
        rows: int64 ``[n]``, the candidates.
        catalogue: what the items are.
        excluded: int64, rows that the request excludes.
        given: int64, rows of the request's items.
        category: the category of the page; empty for none.
        asked: what the request says that items must be.
        bought: int64, rows of what the shopper bought.
        just_bought: int64, rows of what they bought a moment ago.
        dismissed: int64, rows of what they did not want.
    """

    rows: npt.NDArray[np.int64]
    catalogue: Catalogue
    excluded: npt.NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)
    given: npt.NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)
    category: str = ""
    asked: Filters = _ANYTHING
    bought: npt.NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)
    just_bought: npt.NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)
    dismissed: npt.NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)


# What it keeps, bool [n]; None for everything.
Kept = npt.NDArray[np.bool_] | None
_Filter = Callable[[FilterInput], Kept]


def in_catalogue(given: FilterInput) -> Kept:
    """Items that were removed from the catalogue never appear."""
    return given.catalogue.present[given.rows]


def available(given: FilterInput) -> Kept:
    """Items that cannot be bought do not appear, unless the request says that they may."""
    return given.catalogue.servable[given.rows] if given.asked.available else None


def not_excluded(given: FilterInput) -> Kept:
    """Items that the request excludes do not appear."""
    return _none_of(given.rows, given.excluded)


def not_given(given: FilterInput) -> Kept:
    """The items that a list goes with do not appear in it."""
    return _none_of(given.rows, given.given)


def within_filters(given: FilterInput) -> Kept:
    """Items appear only if they are what the request's filters say."""
    asked, catalogue, rows = given.asked, given.catalogue, given.rows
    keep = np.ones(len(rows), dtype=np.bool_)
    if asked.categories:
        leaf = catalogue.leaf[rows]
        keep &= np.isin(leaf, np.concatenate([catalogue.categories.within(path) for path in asked.categories]))
    if asked.price_min is not None:
        keep &= catalogue.price[rows] >= asked.price_min  # not so of NaN
    if asked.price_max is not None:
        keep &= catalogue.price[rows] <= asked.price_max
    if asked.bought is not None:
        keep &= np.isin(rows, given.bought) == asked.bought
    return keep


def in_category(given: FilterInput) -> Kept:
    """A category page shows items of its category alone."""
    leaf = given.catalogue.leaf[given.rows]
    return np.isin(leaf, given.catalogue.categories.within(given.category))


def not_just_bought(given: FilterInput) -> Kept:
    """What was bought a moment ago disappears."""
    return _none_of(given.rows, given.just_bought)


def not_dismissed(given: FilterInput) -> Kept:
    """What the shopper did not want disappears."""
    return _none_of(given.rows, given.dismissed)


def _none_of(rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> Kept:
    return ~np.isin(rows, others) if len(others) else None


_FILTERS: Final[Mapping[FilterName, _Filter]] = {
    "in_catalogue": in_catalogue,
    "available": available,
    "not_excluded": not_excluded,
    "not_given": not_given,
    "within_filters": within_filters,
    "in_category": in_category,
    "not_just_bought": not_just_bought,
    "not_dismissed": not_dismissed,
}
# What holds on every surface, and in the lists that a ranker is trained on.
_ALWAYS: Final[tuple[FilterName, ...]] = ("in_catalogue", "available", "not_excluded")


def apply_filters(
    given: FilterInput, names: Sequence[FilterName] = _ALWAYS
) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """What passes some filters.

    Args:
        given: what they decide on.
        names: of the filters, in the order in which they are asked.

    Returns:
        bool ``[n]``, true for candidates that every filter keeps; and for each filter that removed something how many,
        a candidate counting for the first filter that removes it.
    """
    keep = np.ones(len(given.rows), dtype=np.bool_)
    removed: dict[str, int] = {}
    for name in names:
        if name == "within_filters" and given.asked == _ANYTHING:
            continue
        allowed = _FILTERS[name](given)
        if allowed is None or allowed.all():
            continue
        if count := int((keep & ~allowed).sum()):
            removed[name] = count
        keep &= allowed
    return keep, removed
