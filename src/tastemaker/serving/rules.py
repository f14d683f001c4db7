"""Rules: what may not be shown. Each is a plain function with a name, counted in the served list."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.catalogue import Catalogue

__all__ = ["RULES", "RuleInput", "apply_rules", "available", "in_catalogue", "not_excluded"]


@dataclass(frozen=True, eq=False)
class RuleInput:
    """What a rule decides on.

    Attributes:
        rows: int64 ``[n]``, the candidates.
        catalogue: what the items are.
        excluded: int64, rows that the request excludes.
    """

    rows: npt.NDArray[np.int64]
    catalogue: Catalogue
    excluded: npt.NDArray[np.int64]


Rule = Callable[[RuleInput], npt.NDArray[np.bool_]]


def in_catalogue(given: RuleInput) -> npt.NDArray[np.bool_]:
    """Items that were removed from the catalogue never appear."""
    items = given.catalogue.items
    return np.array([items[row] is not None for row in given.rows.tolist()], dtype=np.bool_)


def available(given: RuleInput) -> npt.NDArray[np.bool_]:
    """Items that cannot be bought never appear."""
    return given.catalogue.servable[given.rows]


def not_excluded(given: RuleInput) -> npt.NDArray[np.bool_]:
    """Items that the request excludes do not appear."""
    return ~np.isin(given.rows, given.excluded)


RULES: Final[Mapping[str, Rule]] = {
    "in_catalogue": in_catalogue,
    "available": available,
    "not_excluded": not_excluded,
}


def apply_rules(given: RuleInput) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """All rules.

    Returns:
        bool ``[n]``, true for candidates that every rule keeps; and for each rule that removed something how many,
        a candidate counting for the first rule that removes it.
    """
    keep = np.ones(len(given.rows), dtype=np.bool_)
    removed: dict[str, int] = {}
    for name, rule in RULES.items():
        allowed = rule(given)
        if count := int((keep & ~allowed).sum()):
            removed[name] = count
        keep &= allowed
    return keep, removed
