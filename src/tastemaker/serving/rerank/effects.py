"""What each rule did: the list is made again, with one rule after the other, and places are compared."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tastemaker.serving.rerank.match_kernel import BOOST, BURY, CAP, EXCLUDE
from tastemaker.serving.rerank.pins import no_pins
from tastemaker.serving.rerank.reranked import Effect
from tastemaker.serving.rerank.stage import Outcome, Prepared, fill
from tastemaker.serving.rerank.utility_kernel import utilities

__all__ = ["effects_of"]

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]


def effects_of(outcome: Outcome) -> tuple[Effect, ...]:
    """For every rule in the order in which they apply: the candidates whose place it changed.

    An exclusion, boost or bury is told of the candidates that it is about and of those that are shown in the end; the
    others only move because these do. Up to the last of them, places are those among all candidates. From diversity on
    they are those in the list, and what never was within its length keeps the place that it had.
    """
    prepared = outcome.prepared
    told = _Told(prepared, outcome.order)
    _tell_removals(prepared, told)
    _tell_weights(prepared, told)
    _tell_selection(outcome, told)
    return tuple(told.effects)


class _Told:
    """The places so far, and what was told."""

    def __init__(self, prepared: Prepared, order: _Ints) -> None:
        self._rows, self._size = prepared.given.rows, prepared.size
        given = prepared.given
        self._shown = np.zeros(len(given), dtype=np.bool_)
        self._shown[order] = True
        self.gone = np.zeros(len(given), dtype=np.bool_)
        self.utility = utilities(given.scores, given.margins, given.stock, 0.0, 0.0, 1.0)
        self._places = self._ranked()
        self.effects: list[Effect] = []

    def rank(self, rule: str, about: _Bools | None = None) -> None:
        """Tell what a rule did by changing :attr:`utility` or :attr:`gone`."""
        self._tell(rule, self._ranked(), None if about is None else about | self._shown)

    def fill(self, rule: str | Callable[[int], str], order: _Ints) -> None:
        """Tell what a rule did to the list."""
        after = np.zeros(len(self._places), dtype=np.int64)
        after[order] = np.arange(1, len(order) + 1)
        # What is past the end of the list all along keeps its place among all candidates.
        beyond = (after == 0) & (self._places > self._size)
        self._tell(rule, np.where(beyond, self._places, after), None)

    def _tell(self, rule: str | Callable[[int], str], after: _Ints, about: _Bools | None) -> None:
        changed = after != self._places
        for i in np.flatnonzero(changed if about is None else changed & about).tolist():
            name = rule if isinstance(rule, str) else rule(i)
            # Places count from 1, and 0 is out.
            self.effects.append(
                Effect(i, int(self._rows[i]), name, int(self._places[i]) or None, int(after[i]) or None)
            )
        self._places = after

    def _ranked(self) -> _Ints:
        order = np.lexsort((self._rows, -self.utility))
        order = order[~self.gone[order]]
        places = np.zeros(len(self.gone), dtype=np.int64)
        places[order] = np.arange(1, len(order) + 1)
        return places


def _tell_removals(prepared: Prepared, told: _Told) -> None:
    steps = [("policy:drop_out_of_stock", np.flatnonzero(prepared.given.stock <= 0))]
    if not prepared.policy.drop_out_of_stock:
        steps = []
    rules = prepared.active.compiled
    for number in prepared.of_kind(EXCLUDE, EXCLUDE):
        steps.append((rules.rules[number].id, prepared.matching(number)))
    for name, candidates in steps:
        about = ~told.gone
        told.gone[candidates] = True
        told.rank(name, about & told.gone)


def _tell_weights(prepared: Prepared, told: _Told) -> None:
    given, policy, rules = prepared.given, prepared.policy, prepared.active.compiled
    for name, margin, stock in (
        ("policy:margin_weight", policy.margin_weight, 0.0),
        ("policy:stock_weight", policy.margin_weight, policy.stock_weight),
    ):
        told.utility = utilities(given.scores, given.margins, given.stock, margin, stock, policy.stock_half)
        told.rank(name)
    for number in prepared.of_kind(BOOST, BURY):
        about = np.zeros(len(given), dtype=np.bool_)
        about[prepared.matching(number)] = True
        told.utility[about] += rules.log_factors[number]
        told.rank(rules.rules[number].id, about)


def _tell_selection(outcome: Outcome, told: _Told) -> None:
    prepared, countable = outcome.prepared, outcome.countable
    rules = prepared.active.compiled
    free = no_pins(prepared.size)
    for name, held in (
        ("policy:diversity", (False, False)),
        ("policy:max_per_category", (True, False)),
        ("policy:max_per_brand", (True, True)),
    ):
        told.fill(name, fill(prepared, free, countable, 0, held=held, cap_rules=0, new_items=False).order)
    for first, number in enumerate(prepared.of_kind(CAP, CAP), start=1):
        told.fill(rules.rules[number].id, fill(prepared, free, countable, 0, cap_rules=first, new_items=False).order)
    told.fill("policy:new_items", fill(prepared, free, countable, 0).order)
    pinned = {int(outcome.pins[place]): rules.rules[number].id for place, number in outcome.pinned_by.items()}
    told.fill(lambda i: pinned.get(i, "pins"), fill(prepared, outcome.pins, countable, 0).order)
    told.fill("policy:exploration", outcome.order)
