"""From ranked candidates to what is answered and what is logged of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.blend import Blend
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.contract import (
    Candidate,
    RecommendationRequest,
    RecommendationResponse,
    RecommendedItem,
    ServedList,
    Tier,
)
from tastemaker.serving.intent import Lift
from tastemaker.serving.reasons import Explainer

__all__ = ["Ranked", "served_list", "shown_item"]


@dataclass(frozen=True, eq=False)
class Ranked:
    """Candidates, best first.

    Attributes:
        tier: which level of the fallback ladder they are of.
        tier_reason: why not a higher one.
        candidates: ``n`` of them, with their sources.
        scores: float32 ``[n]``.
        features: float32 ``[n, features]``: those of the ranker, and what intent added; ``[0, 0]`` of other tiers.
        lift: what intent added, and why.
        removed: by rule, how many it removed.
    """

    tier: Tier
    tier_reason: str
    candidates: Blend
    scores: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    lift: Lift | None
    removed: dict[str, int]


def shown_item(
    place: int, ranked: Ranked, explainer: Explainer, catalogue: Catalogue, names: Sequence[str] | None
) -> RecommendedItem:
    """One item of the answer.

    Args:
        place: of the candidate.
        ranked: all of them.
        explainer: says why.
        catalogue: says what it is.
        names: of the features, to give details; None for none.
    """
    item = catalogue.items[int(ranked.candidates.rows[place])]
    assert item is not None, "the rules keep what is in the catalogue"
    source = explainer.source(place)
    details = None
    if names is not None:
        details = _by_source(ranked.candidates, place, prefix="source.")
        if len(ranked.features):
            details |= dict(zip(names, _plain(ranked.features[place]), strict=True))
    return RecommendedItem(
        item_id=item.item_id,
        title=item.title,
        score=float(ranked.scores[place]),
        source=source,
        reason=explainer.reason(place, source),
        price=item.price,
        category=item.category,
        details=details,
    )


def served_list(
    request: RecommendationRequest,
    response: RecommendationResponse,
    ranked: Ranked,
    *,
    item_ids: Sequence[str],
    names: tuple[str, ...],
    histories: dict[str, tuple[tuple[str, str, int], ...]],
    served_at: datetime,
) -> ServedList:
    """What is logged of an answer.

    Args:
        request: as it came.
        response: the answer.
        ranked: what it was made of.
        item_ids: of the candidates.
        names: of their features.
        histories: by history view, the shopper's events as they were read.
        served_at: the moment as of which features were read.
    """
    shown = tuple(item.item_id for item in response.items)
    scored = zip(item_ids, ranked.scores.tolist(), strict=True)
    found: dict[str, tuple[float, ...]] = {}
    if len(ranked.features):
        found = {item_id: tuple(_plain(ranked.features[place])) for place, item_id in enumerate(shown)}
    return ServedList(
        request_id=response.request_id,
        served_at=served_at,
        request=request,
        release=response.release,
        tier=response.tier,
        candidates=tuple(
            Candidate(item_id=item_id, sources=_by_source(ranked.candidates, place), score=score)
            for place, (item_id, score) in enumerate(scored)
        ),
        features=found,
        feature_names=names if found else (),
        histories=histories,
        rules=ranked.removed,
        items=shown,
        propensities=(1.0,) * len(shown),
    )


def _by_source(candidates: Blend, place: int, prefix: str = "") -> dict[str, float]:
    pairs = zip(candidates.sources, candidates.scores[place].tolist(), strict=True)
    return {prefix + name: score for name, score in pairs if not isnan(score)}


def _plain(values: npt.NDArray[np.float32]) -> list[float]:
    """Values that JSON can carry: what is not known is 0."""
    plain: list[float] = np.nan_to_num(values, nan=0.0).tolist()
    return plain
