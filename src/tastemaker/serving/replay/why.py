"""Why this: of each item of a logged list source, reason, what counted, and what each rule did to its place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tastemaker.serving.contract import RuleEffect, ServedList
from tastemaker.serving.replay.contributions import Contribution, contributions
from tastemaker.serving.replay.logged import NotReplayable, logged_of
from tastemaker.serving.replay.model import ReplayModel

__all__ = ["WhyThis", "ranks", "why_these"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class WhyThis:
    """Why one candidate stands where it does.

    Attributes:
        item_id: of the candidate.
        place: in the list, from 1; None where it is not in it.
        ranked: its place by score among all candidates, before rules and policy.
        score: as it was logged.
        source: that it owes its place to; empty where that was not logged.
        sources: score by source that named it.
        reason: as the shopper read it; likewise.
        propensity: how likely it was at its place; None where it is not in the list.
        effects: what each rule and each part of the policy did to its place, in their order.
        contributions: what adds to its score, the largest first; empty where the features were not logged.
    """

    item_id: str
    place: int | None
    ranked: int
    score: float
    source: str
    sources: Mapping[str, float]
    reason: str
    propensity: float | None
    effects: tuple[RuleEffect, ...]
    contributions: tuple[Contribution, ...] = ()


def why_these(served: ServedList, model: ReplayModel | None, item_ids: tuple[str, ...]) -> tuple[WhyThis, ...]:
    """Why some candidates stand where they do.

    Args:
        served: the list.
        model: of its release; None where that is not there, which leaves out contributions.
        item_ids: of candidates.
    """
    by_id = {candidate.item_id: candidate for candidate in served.candidates}
    ranked = ranks(served)
    counted = _counted(served, model)
    places = {item_id: place for place, item_id in enumerate(served.items)}
    found = []
    for item_id in item_ids:
        candidate, at = by_id[item_id], places.get(item_id)
        found.append(
            WhyThis(
                item_id,
                None if at is None else at + 1,
                ranked[item_id],
                candidate.score,
                _nth(served.item_sources, at, ""),
                candidate.sources,
                _nth(served.reasons, at, ""),
                _nth(served.propensities, at, None),
                tuple(effect for effect in served.effects if effect.item_id == item_id),
                counted(item_id),
            )
        )
    return tuple(found)


def ranks(served: ServedList) -> dict[str, int]:
    """The place of each candidate by its score, from 1; of equal scores the one that is logged first is better."""
    ordered = sorted(served.candidates, key=lambda candidate: -candidate.score)
    return {candidate.item_id: place for place, candidate in enumerate(ordered, start=1)}


def _counted(served: ServedList, model: ReplayModel | None) -> Callable[[str], tuple[Contribution, ...]]:
    """What counts for an item; nothing where that cannot be told."""
    try:
        logged = logged_of(served)
    except NotReplayable:
        return lambda item_id: ()
    names = served.feature_names[: logged.features.shape[1]]
    if model is None or (logged.ranked and names != model.names):
        return lambda item_id: ()
    return lambda item_id: contributions(served, logged, model, item_id)


def _nth(values: Sequence[_T], at: int | None, absent: _T) -> _T:
    return values[at] if at is not None and at < len(values) else absent
