"""The log stage: what is kept of an answer. Turning it into the served list's text waits for the log's own thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

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
    return ListRecord(given.response.request_id, given.request, given.clock.stages_us, lambda: served_list(given))


def served_list(given: LogInput) -> ServedList:
    """What is logged of an answer."""
    made, response, ids = given.made, given.response, given.item_ids
    shown = tuple(item.item_id for item in response.items)
    sources = made.candidates.sources
    reranked = None if made.listed is None else made.listed.reranked
    found: dict[str, tuple[float, ...]] = {}
    if len(made.features):
        found = {item_id: tuple(plain(made.features[place])) for place, item_id in enumerate(shown)}
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
                made.candidates.rows.tolist(), made.candidates.scores.tolist(), made.scores.tolist(), strict=True
            )
        ),
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
        latency_us=given.clock.total_us,
        stages=given.clock.stages_us,
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


def _effects(given: LogInput) -> tuple[RuleEffect, ...]:
    """What rules and policy did; worked out only here, off every request's path."""
    listed, ids = given.made.listed, given.item_ids
    if listed is None:
        return ()
    return tuple(
        RuleEffect(item_id=ids[effect.row], rule=effect.rule, before=effect.before, after=effect.after)
        for effect in listed.reranked.effects
    )
