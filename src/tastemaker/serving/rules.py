"""Rules: what may not be shown. Each is a plain function with a name, counted in the served list."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.source import NO_ROWS
from tastemaker.serving.contract import Filters

__all__ = ["ALWAYS", "RULES", "RuleInput", "apply_rules"]

NO_FILTERS: Final = Filters()


@dataclass(frozen=True, eq=False)
class RuleInput:
    """What a rule decides on.

    Attributes:
        rows: int64 ``[n]``, the candidates.
        catalogue: what the items are.
        excluded: int64, rows that the request excludes.
        given: int64, rows of the request's items.
        category: the category of the page; empty for none.
        filters: of the request.
        bought: int64, rows of what the shopper bought.
        just_bought: int64, rows of what they bought a moment ago.
        dismissed: int64, rows of what they did not want.
    """

    rows: npt.NDArray[np.int64]
    catalogue: Catalogue
    excluded: npt.NDArray[np.int64]
    given: npt.NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)
    category: str = ""
    filters: Filters = NO_FILTERS
    bought: npt.NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)
    just_bought: npt.NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)
    dismissed: npt.NDArray[np.int64] = field(default_factory=lambda: NO_ROWS)


# What it keeps, bool [n]; None for everything.
Kept = npt.NDArray[np.bool_] | None
Rule = Callable[[RuleInput], Kept]


def in_catalogue(given: RuleInput) -> Kept:
    """Items that were removed from the catalogue never appear."""
    return given.catalogue.present[given.rows]


def available(given: RuleInput) -> Kept:
    """Items that cannot be bought do not appear, unless the request says that they may."""
    return given.catalogue.servable[given.rows] if given.filters.available else None


def not_excluded(given: RuleInput) -> Kept:
    """Items that the request excludes do not appear."""
    return _none_of(given.rows, given.excluded)


def not_given(given: RuleInput) -> Kept:
    """The items that a list goes with do not appear in it."""
    return _none_of(given.rows, given.given)


def within_filters(given: RuleInput) -> Kept:
    """Items appear only if they are what the request's filters say."""
    filters, catalogue, rows = given.filters, given.catalogue, given.rows
    keep = np.ones(len(rows), dtype=np.bool_)
    if filters.categories:
        leaf = catalogue.leaf[rows]
        keep &= np.isin(leaf, np.concatenate([catalogue.categories.within(path) for path in filters.categories]))
    if filters.price_min is not None:
        keep &= catalogue.price[rows] >= filters.price_min  # not so of NaN
    if filters.price_max is not None:
        keep &= catalogue.price[rows] <= filters.price_max
    if filters.bought is not None:
        keep &= np.isin(rows, given.bought) == filters.bought
    return keep


def in_category(given: RuleInput) -> Kept:
    """A category page shows items of its category alone."""
    leaf = given.catalogue.leaf[given.rows]
    return np.isin(leaf, given.catalogue.categories.within(given.category))


def not_just_bought(given: RuleInput) -> Kept:
    """What was bought a moment ago disappears."""
    return _none_of(given.rows, given.just_bought)


def not_dismissed(given: RuleInput) -> Kept:
    """What the shopper did not want disappears."""
    return _none_of(given.rows, given.dismissed)


def _none_of(rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> Kept:
    return ~np.isin(rows, others) if len(others) else None


RULES: Final[Mapping[str, Rule]] = {
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
ALWAYS: Final = ("in_catalogue", "available", "not_excluded")


def apply_rules(given: RuleInput, rules: Sequence[str] = ALWAYS) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """Some rules.

    Args:
        given: what they decide on.
        rules: their names, in the order in which they are asked.

    Returns:
        bool ``[n]``, true for candidates that every rule keeps; and for each rule that removed something how many,
        a candidate counting for the first rule that removes it.
    """
    keep = np.ones(len(given.rows), dtype=np.bool_)
    removed: dict[str, int] = {}
    for name in rules:
        if name == "within_filters" and given.filters == NO_FILTERS:
            continue
        allowed = RULES[name](given)
        if allowed is None or allowed.all():
            continue
        if count := int((keep & ~allowed).sum()):
            removed[name] = count
        keep &= allowed
    return keep, removed
