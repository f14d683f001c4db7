"""What the re-rank stage gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Effect", "Note", "Reranked"]


class Effect(NamedTuple):
    """What one rule did to one candidate.

    Attributes:
        candidate: its index in the input.
        row: of the catalogue.
        rule: the rule's id, or ``policy:`` and the part of the policy; ``pins`` for items that make way for pinned
            ones.
        before: its place before the rule, from 1; None when it was out of the list.
        after: and with the rule.
    """

    candidate: int
    row: int
    rule: str
    before: int | None
    after: int | None


class Note(NamedTuple):
    """A rule that could not have its way, or not alone.

    Attributes:
        rule: as in :class:`Effect`.
        problem: what happened instead.
    """

    rule: str
    problem: str


@dataclass(frozen=True, eq=False)
class Reranked:
    """The list.

    Attributes:
        order: int64 ``[k]`` indices of candidates, best first; shorter if there are not so many.
        propensities: float64 ``[k]``, how likely each item was at its place: see ``propensity``.
        propensity: ``marginal``: over all that chance decides; places are independent in that the others' draws do
            not change it. ``conditional``: given the items at the places before; their product is the list's.
        explored: places (from 0) that chance gave away.
        over_cap: places (from 0) whose item breaks a cap, because no candidate was left that breaks none.
        utilities: float64 ``[n]``, what candidates were compared by.
        rules_version: of the rules.
    """

    order: npt.NDArray[np.int64]
    propensities: npt.NDArray[np.float64]
    propensity: Literal["marginal", "conditional"]
    explored: tuple[int, ...]
    over_cap: tuple[int, ...]
    utilities: npt.NDArray[np.float64]
    rules_version: str
    _effects: Callable[[], tuple[Effect, ...]] = field(repr=False)
    _notes: Callable[[], tuple[Note, ...]] = field(repr=False)

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """What each rule and each part of the policy did, one after the other in the order in which they apply.

        Costs several times what the list did: read it off the request path, or when somebody asks.
        """
        return self._effects()

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """What could not be done as the rules and the policy say, and what was done instead."""
        return self._notes()
