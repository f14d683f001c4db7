"""Rules laid out for the request path: for each class of items, and each item that is named, the rules about it."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.serving.rerank.catalogue_facts import CatalogueFacts
from tastemaker.serving.rerank.match_kernel import PIN, Postings
from tastemaker.serving.rerank.rule import Rule
from tastemaker.serving.rerank.rule_set import RuleSet

__all__ = ["NO_RULES", "ActiveRules", "CompiledRules"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ActiveRules:
    """The rules of one surface at one moment.

    Attributes:
        compiled: all of them.
        on: uint8 ``[rules]``, 1 for those that count.
        pins: numbers of the pins that count, in order.
        wanted_rows: int64, rows that pins name; add them to the candidates, or a pin holds only if its item was found.
        any: whether one counts at all.
    """

    compiled: "CompiledRules"
    on: npt.NDArray[np.uint8]
    pins: tuple[int, ...]
    wanted_rows: _Ints
    any: bool


@dataclass(frozen=True, eq=False)
class CompiledRules:
    """A rule set on a catalogue. A class is a pair of category and brand; prices are compared per request.

    Attributes:
        version: of the rule set.
        facts: of the catalogue; a request takes its candidates' categories and brands from these.
        rules: the enabled ones, in their order; their numbers are used everywhere below.
        kinds: int64 ``[rules]``, :data:`~tastemaker.serving.rerank.match_kernel.BOOST` and so on.
        log_factors: float64 ``[rules]``, what is added to a matching item's utility; 0 except for boost and bury.
        limits: int64 ``[rules]``, of caps.
        price_from: float64 ``[rules]``, NaN for a rule without a price range.
        price_to: likewise.
        by_class: rules that name no items and some category or brand.
        by_row: rules that name items.
        everywhere: int64, rules that name neither.
        spans: int64 ``[rules, 2]``, from and until in microseconds.
        named_rows: rows that a rule names, by rule.
    """

    version: str
    facts: CatalogueFacts
    rules: tuple[Rule, ...]
    kinds: _Ints
    log_factors: _Floats
    limits: _Ints
    price_from: _Floats
    price_to: _Floats
    by_class: Postings
    by_row: Postings
    everywhere: _Ints
    spans: _Ints
    named_rows: dict[int, _Ints]
    _boundaries: _Ints = field(init=False)
    _active: dict[tuple[str, int], ActiveRules] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_boundaries", np.unique(self.spans))

    def at(self, surface: str, now_us: int) -> ActiveRules:
        """The rules that count on a surface at a moment; computed once between two dates at which any rule changes.

        Args:
            surface: its name.
            now_us: the moment, in microseconds since the epoch.
        """
        segment = int(self._boundaries.searchsorted(now_us, side="right"))
        active = self._active.get((surface, segment))
        if active is None:
            if len(self._active) >= 256:  # time goes forward: segments of the past are not asked for again
                self._active.clear()
            active = self._active[surface, segment] = self._activate(surface, now_us)
        return active

    def _activate(self, surface: str, now_us: int) -> ActiveRules:
        on = ((self.spans[:, 0] <= now_us) & (now_us < self.spans[:, 1])).astype(np.uint8)
        for number, rule in enumerate(self.rules):
            if rule.where.surfaces and surface not in rule.where.surfaces:
                on[number] = 0
        pins = tuple(np.flatnonzero((self.kinds == PIN) & (on == 1)).tolist())
        rows = [self.named_rows[pin] for pin in pins if pin in self.named_rows]
        wanted = np.unique(np.concatenate(rows)) if rows else np.zeros(0, dtype=np.int64)
        return ActiveRules(self, on, pins, wanted, bool(on.any()))


def _none() -> ActiveRules:
    ints, floats = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64)
    facts = CatalogueFacts("", {}, ints, (), ints, ())
    nothing = Postings(ints, np.zeros(1, dtype=np.int64), ints)
    compiled = CompiledRules(
        RuleSet().version, facts, (), ints, floats, ints, floats, floats, nothing, nothing, ints, ints.reshape(0, 2), {}
    )
    return compiled.at("", 0)


# For a shop without rules.
NO_RULES: Final = _none()
