"""The log stage: what is kept of an answer. Turning it into the served list's text waits for the log's own thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.clock import from_us
from tastemaker.serving.contract import Candidate, RecommendationRequest, RecommendationResponse, RuleEffect, ServedList
from tastemaker.serving.making import Made
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.records import ListRecord
from tastemaker.serving.replay.tracing import TraceInput, trace_of
from tastemaker.serving.stages.explain import plain
from tastemaker.serving.stages.runner import StageClock

__all__ = ["LogInput", "keep", "served_list"]


@dataclass(frozen=True, eq=False)
class LogInput:
    """What the stage is given; nothing that keeps a whole catalogue in memory, for many may wait for their text.

    Attributes:
        request: as it came.
        response: the answer.
        made: the list.
        names: of the features.
        item_ids: of the catalogue, by row.
        recipe: of the surface.
        trained: float32 ``[rows, dimension]``, the release's own vectors.
        now_us: the moment as of which features were read.
        clock: of the list.
    """

    request: RecommendationRequest
    response: RecommendationResponse
    made: Made
    names: tuple[str, ...]
    item_ids: Sequence[str]
    recipe: Recipe
    trained: npt.NDArray[np.float32]
    now_us: int
    clock: StageClock


def keep(given: LogInput) -> ListRecord:
    """Keep what is needed."""
    took_us, stages_us = given.clock.total_us, given.clock.stages_us  # now: the text is made when there is time
    return ListRecord(
        given.response.request_id,
        given.request,
        stages_us,
        lambda: served_list(given, took_us, stages_us),
        given.made.kept,
    )


def served_list(given: LogInput, took_us: int, stages_us: Mapping[str, int]) -> ServedList:
    """What is logged of an answer.

    Args:
        given: the answer.
        took_us: how long it took, in microseconds.
        stages_us: of which each stage took so much.
    """
    made, response, ids = given.made, given.response, given.item_ids
    shown = tuple(item.item_id for item in response.items)
    reranked = None if made.listed is None else made.listed.reranked
    found: dict[str, tuple[float, ...]] = {}
    if len(made.features):
        found = dict(zip(shown, map(tuple, plain(made.features[: len(shown)])), strict=True))
    return ServedList(
        request_id=response.request_id,
        served_at=from_us(given.now_us),
        request=given.request,
        release=response.release,
        tier=response.tier,
        tier_reason=response.tier_reason,
        candidates=_candidates(made, ids),
        features=found,
        feature_names=given.names if len(made.features) else (),
        histories={**made.shopper.histories, **made.shopper.exposure.read},
        rules=dict(made.removed or {}),
        items=shown,
        item_sources=tuple(item.source for item in response.items),
        reasons=tuple(item.reason for item in response.items),
        propensities=(1.0,) * len(shown) if reranked is None else tuple(reranked.propensities.tolist()),
        propensity="marginal" if reranked is None else reranked.propensity,
        rules_version="" if reranked is None else reranked.rules_version,
        effects=_effects(given),
        latency_us=took_us,
        stages=dict(stages_us),
        repeated=response.repeated,
        trace=trace_of(
            TraceInput(
                given.recipe,
                ids,
                made.candidates,
                made.features,
                made.trail,
                made.listed,
                given.trained,
            )
        ),
    )


def _candidates(made: Made, item_ids: Sequence[str]) -> tuple[Candidate, ...]:
    """All candidates, each with the scores of the sources that named it."""
    blend = made.candidates
    by_source: list[dict[str, float]] = [{} for _ in range(len(blend.rows))]
    for name, column in zip(blend.sources, blend.scores.T, strict=True):
        named = np.flatnonzero(~np.isnan(column))
        for place, score in zip(named.tolist(), column[named].tolist(), strict=True):
            by_source[place][name] = score
    rows = zip(blend.rows.tolist(), by_source, made.scores.tolist(), strict=True)
    return tuple([Candidate(item_id=item_ids[row], sources=named_by, score=score) for row, named_by, score in rows])


def _effects(given: LogInput) -> tuple[RuleEffect, ...]:
    """What rules and policy did; worked out only here, off every request's path."""
    listed, ids = given.made.listed, given.item_ids
    if listed is None:
        return ()
    return tuple(
        RuleEffect(item_id=ids[effect.row], rule=effect.rule, before=effect.before, after=effect.after)
        for effect in listed.reranked.effects
    )
