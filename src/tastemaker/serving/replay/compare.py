"""Replay: a logged list is made again, and what differs is told."""

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from tastemaker.serving.contract import RuleEffect, ServedList
from tastemaker.serving.replay.logged import NotReplayable, logged_of
from tastemaker.serving.replay.model import ReplayModel
from tastemaker.serving.replay.remake import Remade, RulesOf, remake

__all__ = ["Difference", "Replayed", "replay"]

# Scores of another processor's arithmetic may be so far off, in shares of the larger one; what is beyond is told.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was logged.

    Attributes:
        what: ``list``, ``candidates``, ``score``, ``propensity``, ``rules_version`` or ``effects``.
        place: in the list or among the candidates, from 1; 0 where it is about neither.
        logged: as it was.
        made: as it is now.
    """

    what: str
    place: int
    logged: str
    made: str


@dataclass(frozen=True)
class Replayed:
    """What came of a replay.

    Attributes:
        release_id: of the release that the list was made with again.
        why_not: why it could not be made again; empty where it could.
        differences: from what was logged; none where the list is identical.
        exact: whether all scores are equal to the last bit.
        gap: the largest distance between two scores of one candidate.
    """

    release_id: str
    why_not: str = ""
    differences: tuple[Difference, ...] = ()
    exact: bool = False
    gap: float = 0.0

    @property
    def identical(self) -> bool:
        """Whether it was made again, and is the same."""
        return not self.why_not and not self.differences


def replay(served: ServedList, model: ReplayModel, rules_of: RulesOf) -> Replayed:
    """Make a logged list again, and compare the list, all scores, the order behind it, chances and rules' effects.

    Args:
        served: the list.
        model: of its release, or of another one, to see what that makes of it.
        rules_of: gives the shop's rules of a version, :meth:`RuleLog.at`.
    """
    try:
        made = remake(served, logged_of(served), model, rules_of)
    except NotReplayable as error:
        return Replayed(model.release_id, why_not=str(error))
    was = {candidate.item_id: candidate.score for candidate in served.candidates}
    pairs = np.array([(was[item_id], now) for item_id, now in zip(made.order, made.scores.tolist(), strict=True)])
    before, after = pairs.reshape(-1, 2).T
    gaps = np.abs(before - after)
    return Replayed(
        model.release_id,
        differences=_differences(served, made, gaps > _ROUNDING * np.maximum(1.0, np.abs(before))),
        exact=bool((before == after).all()),
        gap=float(gaps.max(initial=0.0)),
    )


def _differences(served: ServedList, made: Remade, far: npt.NDArray[np.bool_]) -> tuple[Difference, ...]:
    found = [
        Difference("list", place, str(was or "nothing"), str(now or "nothing"))
        for place, (was, now) in enumerate(zip_longest(served.items, made.items), start=1)
        if was != now
    ]
    shown = max(len(served.items), len(made.items))
    order = [candidate.item_id for candidate in served.candidates]
    found += [
        Difference("candidates", place, was, now)
        for place, (was, now) in enumerate(zip(order, made.order, strict=True), start=1)
        if was != now and place > shown
    ]
    scores = {candidate.item_id: candidate.score for candidate in served.candidates}
    for place in np.flatnonzero(far).tolist():
        item_id = made.order[place]
        now = f"{item_id} {made.scores[place]:.9g}"
        found.append(Difference("score", order.index(item_id) + 1, f"{item_id} {scores[item_id]:.9g}", now))
    chances = zip_longest(served.propensities, made.propensities)
    found += [
        Difference("propensity", place, _number(one), _number(other))
        for place, (one, other) in enumerate(chances, start=1)
        if one != other
    ]
    if served.rules_version != made.rules_version:
        found.append(Difference("rules_version", 0, served.rules_version or "none", made.rules_version or "none"))
    if served.effects != made.effects:
        was_told, now_told = set(served.effects) - set(made.effects), set(made.effects) - set(served.effects)
        found.append(Difference("effects", 0, _told(was_told), _told(now_told)))
    return tuple(found)


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.9g}"


def _told(effects: set[RuleEffect]) -> str:
    lines = sorted(
        f"{one.rule} moves {one.item_id} from {one.before or 'out'} to {one.after or 'out'}" for one in effects
    )
    return "; ".join(lines[:3]) + (f" and {len(lines) - 3} more" if len(lines) > 3 else "") or "in another order"
