"""The log stage: what is kept of an answer. Turning it into the served list's text waits for the log's own thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.clock import from_us
from tastemaker.retrieval.blend import Blend
from tastemaker.serving.contract import Candidate, RecommendationRequest, RecommendationResponse, RuleEffect, ServedList
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.records import Kept, ListRecord
from tastemaker.serving.replay.tracing import TraceInput, trace_of
from tastemaker.serving.rerank.catalogue_facts import CatalogueFacts
from tastemaker.serving.stages.explain import plain
from tastemaker.serving.stages.rerank import ListedOrder
from tastemaker.serving.stages.runner import StageClock
from tastemaker.serving.trail import Trail

__all__ = ["LogInput", "keep", "served_list"]


@dataclass(frozen=True, eq=False)
class LogInput:
    """What the stage is given.

    Attributes:
        request: as it came.
        response: the answer.
        candidates: all that were ranked, best first.
        scores: float32 ``[n]``.
        features: float32 ``[n, features]``, or ``[0, 0]``.
        names: of the features.
        item_ids: of the catalogue, by row.
        histories: by history view, the shopper's events as they were read.
        removed: by filter, how many items it took out.
        listed: what the rerank stage made of the candidates; None where it had nothing to do.
        trail: how the candidates were scored; None where they were taken as they were at hand.
        recipe: of the surface.
        facts: of the catalogue, as the rules saw it.
        trained: float32 ``[rows, dimension]``, the release's own vectors.
        now_us: the moment as of which features were read.
        clock: of the list.
        kept: whether it was ranked before.
    """

    request: RecommendationRequest
    response: RecommendationResponse
    candidates: Blend
    scores: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    names: tuple[str, ...]
    item_ids: Sequence[str]
    histories: Mapping[str, tuple[tuple[str, str, int], ...]]
    removed: Mapping[str, int]
    listed: ListedOrder | None
    trail: Trail | None
    recipe: Recipe
    facts: CatalogueFacts
    trained: npt.NDArray[np.float32]
    now_us: int
    clock: StageClock
    kept: Kept = ""


def keep(given: LogInput) -> ListRecord:
    """Keep what is needed."""
    took_us, stages_us = given.clock.total_us, given.clock.stages_us  # now: the text is made when there is time
    return ListRecord(
        given.response.request_id,
        given.request,
        stages_us,
        lambda: served_list(given, took_us, stages_us),
        given.kept,
    )


def served_list(given: LogInput, took_us: int, stages_us: Mapping[str, int]) -> ServedList:
    """What is logged of an answer.

    Args:
        given: the answer.
        took_us: how long it took, in microseconds.
        stages_us: of which each stage took so much.
    """
    response, ids = given.response, given.item_ids
    shown = tuple(item.item_id for item in response.items)
    reranked = None if given.listed is None else given.listed.reranked
    found: dict[str, tuple[float, ...]] = {}
    if len(given.features):
        found = dict(zip(shown, map(tuple, plain(given.features[: len(shown)])), strict=True))
    return ServedList(
        request_id=response.request_id,
        served_at=from_us(given.now_us),
        request=given.request,
        release=response.release,
        tier=response.tier,
        tier_reason=response.tier_reason,
        candidates=_candidates(given),
        features=found,
        feature_names=given.names if len(given.features) else (),
        histories=dict(given.histories),
        rules=dict(given.removed),
        items=shown,
        item_sources=tuple(item.source for item in response.items),
        reasons=tuple(item.reason for item in response.items),
        propensities=(1.0,) * len(shown) if reranked is None else tuple(reranked.propensities.tolist()),
        propensity="marginal" if reranked is None else reranked.propensity,
        rules_version="" if reranked is None else reranked.rules_version,
        effects=_effects(given),
        latency_us=took_us,
        stages=dict(stages_us),
        trace=trace_of(
            TraceInput(
                given.recipe,
                ids,
                given.candidates,
                given.features,
                given.trail,
                given.listed,
                given.facts,
                given.trained,
            )
        ),
        repeated=response.repeated,
    )


def _candidates(given: LogInput) -> tuple[Candidate, ...]:
    """All candidates, each with the scores of the sources that named it."""
    blend, ids = given.candidates, given.item_ids
    by_source: list[dict[str, float]] = [{} for _ in range(len(blend.rows))]
    for name, column in zip(blend.sources, blend.scores.T, strict=True):
        named = np.flatnonzero(~np.isnan(column))
        for place, score in zip(named.tolist(), column[named].tolist(), strict=True):
            by_source[place][name] = score
    rows = zip(blend.rows.tolist(), by_source, given.scores.tolist(), strict=True)
    return tuple([Candidate(item_id=ids[row], sources=named_by, score=score) for row, named_by, score in rows])


def _effects(given: LogInput) -> tuple[RuleEffect, ...]:
    """What rules and policy did; worked out only here, off every request's path."""
    if given.listed is None:
        return ()
    return tuple(
        RuleEffect(item_id=given.item_ids[effect.row], rule=effect.rule, before=effect.before, after=effect.after)
        for effect in given.listed.reranked.effects
    )
