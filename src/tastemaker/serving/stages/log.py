"""The log stage: what is kept of an answer. Turning it into the served list's text waits for the log's own thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import numpy.typing as npt

from tastemaker.clock import from_us
from tastemaker.retrieval.blend import Blend
from tastemaker.serving.contract import Candidate, RecommendationRequest, RecommendationResponse, RuleEffect, ServedList
from tastemaker.serving.records import Kept, ListRecord
from tastemaker.serving.stages.explain import plain
from tastemaker.serving.stages.rerank import ListedOrder
from tastemaker.serving.stages.runner import StageClock

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
    now_us: int
    clock: StageClock
    kept: Kept = ""


def keep(given: LogInput) -> ListRecord:
    """Keep what is needed."""
    stages = given.clock.stages_us
    return ListRecord(given.response.request_id, given.request, stages, lambda: served_list(given), given.kept)


def served_list(given: LogInput) -> ServedList:
    """What is logged of an answer."""
    response, ids = given.response, given.item_ids
    shown = tuple(item.item_id for item in response.items)
    sources = given.candidates.sources
    reranked = None if given.listed is None else given.listed.reranked
    found: dict[str, tuple[float, ...]] = {}
    if len(given.features):
        found = {item_id: tuple(plain(given.features[place])) for place, item_id in enumerate(shown)}
    return ServedList(
        request_id=response.request_id,
        served_at=from_us(given.now_us),
        request=given.request,
        release=response.release,
        tier=response.tier,
        tier_reason=response.tier_reason,
        candidates=tuple(
            Candidate(
                item_id=ids[row],
                sources={name: found for name, found in zip(sources, by, strict=True) if not isnan(found)},
                score=score,
            )
            for row, by, score in zip(
                given.candidates.rows.tolist(), given.candidates.scores.tolist(), given.scores.tolist(), strict=True
            )
        ),
        features=found,
        feature_names=given.names if found else (),
        histories=dict(given.histories),
        rules=dict(given.removed),
        items=shown,
        propensities=(1.0,) * len(shown) if reranked is None else tuple(reranked.propensities.tolist()),
        propensity="marginal" if reranked is None else reranked.propensity,
        rules_version="" if reranked is None else reranked.rules_version,
        effects=_effects(given),
        latency_us=given.clock.total_us,
        stages=given.clock.stages_us,
        repeated=response.repeated,
    )


def _effects(given: LogInput) -> tuple[RuleEffect, ...]:
    """What rules and policy did; worked out only here, off every request's path."""
    if given.listed is None:
        return ()
    return tuple(
        RuleEffect(item_id=given.item_ids[effect.row], rule=effect.rule, before=effect.before, after=effect.after)
        for effect in given.listed.reranked.effects
    )
