"""The ranking stage: the ranker's score, what the visit is about, and the recipe's other signals, in one number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.features.reading.reader import FeatureReader
from tastemaker.release.ranking_features import RankingLayout, ranking_matrix
from tastemaker.retrieval.blend import Blend
from tastemaker.retrieval.parameters import IntentParameters
from tastemaker.serving.candidates import CandidateSources
from tastemaker.serving.exposure import shown_discount
from tastemaker.serving.intent import Lift, lift
from tastemaker.serving.ranking import RankFunction, ReadMatrix, read_stored
from tastemaker.serving.recipe import SessionPolicy
from tastemaker.serving.stages.features import ShopperFeatures
from tastemaker.serving.text_match import text_match

__all__ = ["RankedCandidates", "RankingInput", "rank", "standardised"]

_NO_FEATURES = np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class RankingInput:
    """What the stage is given.

    Attributes:
        candidates: that may be shown.
        features: of the shopper.
        sources: over the catalogue.
        reader: of the online store, whose plan says what the columns are.
        layout: columns of the ranker.
        ranker: gives scores; None to do without.
        read_items: reads features of items in process.
        order: weights by signal, of the recipe.
        intent: how much the visit counts.
        session: of the recipe, for the discount of what was shown.
        text: that was searched for; empty for none.
        now_us: the moment, in microseconds.
    """

    candidates: Blend
    features: ShopperFeatures
    sources: CandidateSources
    reader: FeatureReader
    layout: RankingLayout
    ranker: RankFunction | None
    read_items: ReadMatrix
    order: Mapping[str, float]
    intent: IntentParameters
    session: SessionPolicy
    text: str
    now_us: int


@dataclass(frozen=True, eq=False)
class RankedCandidates:
    """Candidates, best first.

    Attributes:
        candidates: ``n`` of them.
        scores: float32 ``[n]``.
        features: float32 ``[n, features]``: the ranker's, what intent added, what showing took; ``[0, 0]`` without it.
        lift: what intent added, and why; None without the ranker.
    """

    candidates: Blend
    scores: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    lift: Lift | None


def rank(given: RankingInput) -> RankedCandidates:
    """Score the candidates and put them in order; ties by row with the ranker, by retrieval without it."""
    candidates, query = given.candidates, given.features.shopper.query
    rows, catalogue, sources = candidates.rows, given.sources.catalogue, given.sources
    matrix, lifted, ranked = _NO_FEATURES, None, None
    if given.ranker is not None and len(rows):
        matrix = ranking_matrix(
            read_stored(
                given.reader,
                given.layout,
                given.features.shopper,
                rows=rows,
                now_us=given.now_us,
                read_items=given.read_items,
                user_blocks=given.features.stored,
            ),
            query,
            candidates,
            catalogue=catalogue,
            covisitation=sources.covisitation,
            trending=sources.trending,
            now_us=given.now_us,
        )
        ranked = given.ranker(matrix)
    scores = ranked if ranked is not None and set(given.order) == {"ranker"} else _weighed(given, ranked)
    if ranked is not None:
        lifted = lift(
            scores, rows, query, catalogue=catalogue, covisitation=sources.covisitation, parameters=given.intent
        )
        scores = scores + lifted.added
    discount = shown_discount(scores, rows, given.features.shopper.exposure, given.session, given.now_us)
    scores = scores - discount
    order = np.lexsort((rows, -scores)) if ranked is not None else np.argsort(-scores, kind="stable")
    if lifted is not None:
        matrix = np.concatenate([matrix, lifted.added[:, None], discount[:, None]], axis=1)[order]
        lifted = lifted.take(order)
    return RankedCandidates(candidates.take(order), scores[order], matrix, lifted)


def standardised(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Values with a mean of 0 and a deviation of 1; missing ones (NaN) are as low as the lowest, or 0 where none is.

    A source's score is 0 or more, and not to be named by it says less than any score: so missing counts as 0 there.
    """
    filled = np.nan_to_num(values, nan=min(0.0, float(np.nanmin(values, initial=0.0))))
    deviation = float(filled.std())
    return np.asarray((filled - filled.mean()) / (deviation if deviation > 1e-9 else 1.0), dtype=np.float32)


def _weighed(given: RankingInput, ranked: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    """The weighted sum of the recipe's signals; the order of retrieval where it has none that is known."""
    candidates, rows = given.candidates, given.candidates.rows
    total = np.zeros(len(rows), dtype=np.float32)
    if not len(rows):
        return total
    counted = False
    for signal, weight in given.order.items():
        if signal == "ranker":
            values: npt.NDArray[np.float32] | None = ranked
        elif signal == "text":
            values = text_match(given.text, [_title(item) for item in _items(given, rows)]) if given.text else None
        else:
            values = candidates.scores[:, candidates.sources.index(signal)] if signal in candidates.sources else None
        if values is None or not weight or np.isnan(values).all():
            continue
        counted = True
        total += np.float32(weight) * standardised(values)
    return total if counted else _in_turn(candidates)


def _in_turn(candidates: Blend) -> npt.NDArray[np.float32]:
    """Scores that keep the order of retrieval: the source's own where one source named all, else one over the place."""
    named = ~np.isnan(candidates.scores)
    (alone,) = np.nonzero(named.all(axis=0))
    if len(alone) == 1 and named.sum() == len(candidates.rows):
        return candidates.scores[:, alone[0]]
    return np.asarray(1.0 / np.arange(1.0, len(candidates.rows) + 1.0), dtype=np.float32)


def _items(given: RankingInput, rows: npt.NDArray[np.int64]) -> Sequence[object]:
    items = given.sources.catalogue.items
    return [items[row] for row in rows.tolist()]


def _title(item: object) -> str:
    return getattr(item, "title", "")
