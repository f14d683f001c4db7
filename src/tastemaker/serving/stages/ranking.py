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
from tastemaker.serving.trail import Trail
from tastemaker.serving.weighing import weighed

__all__ = ["RankedCandidates", "RankingInput", "rank"]

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
        trail: what the log says of how they were scored.
    """

    candidates: Blend
    scores: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    lift: Lift | None
    trail: Trail


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
    text = None
    if ranked is not None and set(given.order) == {"ranker"}:
        scores = ranked
    else:
        text = _text(given)
        scores = weighed(given.order, candidates.scores, candidates.sources, ranked, text)
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
    return RankedCandidates(candidates.take(order), scores[order], matrix, lifted, Trail(order, discount, text))


def _text(given: RankingInput) -> npt.NDArray[np.float32] | None:
    """How well titles match what was searched for, where the recipe asks."""
    if "text" not in given.order or not given.text:
        return None
    return text_match(given.text, [_title(item) for item in _items(given, given.candidates.rows)])


def _items(given: RankingInput, rows: npt.NDArray[np.int64]) -> Sequence[object]:
    items = given.sources.catalogue.items
    return [items[row] for row in rows.tolist()]


def _title(item: object) -> str:
    return getattr(item, "title", "")
