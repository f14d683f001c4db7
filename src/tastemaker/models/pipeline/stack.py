"""What orders the candidates: the linear blend of the sources, or a ranker that began at it, whichever is better."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.models.pipeline.blend import fit_blend
from tastemaker.models.pipeline.lists import Lists
from tastemaker.models.protocol import FitContext
from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.parameters import RankerParameters
from tastemaker.models.ranking import top_k

if TYPE_CHECKING:
    from tastemaker.models.ranker.ranker import Ranker

__all__ = ["Stack", "fit_stack"]

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
    ranker: Ranker | None
    measured: dict[str, float]

    def score(self, features: Floats) -> Floats:
        """Float32 ``[users, n, features]`` to ``[users, n]``."""
        if self.ranker is None:
            return np.asarray(features[:, :, : len(self.blend)] @ self.blend, dtype=np.float32)
        flat = self.ranker.score(features.reshape(-1, features.shape[2]))
        return np.asarray(flat, dtype=np.float32).reshape(features.shape[:2])

    def ndcg(self, lists: Lists, k: int) -> float:
        """Of the lists in this order; relevant items that nobody offered count as missed."""
        places = top_k(np.where(lists.labels >= 0, self.score(lists.features), -np.inf).astype(np.float32), k)
        hits = (np.take_along_axis(lists.labels, np.maximum(places, 0), axis=1) == 1) & (places >= 0)
        discount = 1.0 / np.log2(np.arange(2, k + 2))
        ideal = np.cumsum(discount)[np.clip(lists.n_relevant, 1, k) - 1]
        return float(((hits @ discount) / ideal).mean())


def fit_stack(
    learn: Lists,
    judge: Lists,
    n_sources: int,
    *,
    k: int,
    context: FitContext,
    names: Sequence[str] | None = None,
) -> Stack:
    """Learn on some lists, choose on others.

    Args:
        learn: to learn from; their first features are the sources' standardised scores.
        judge: other users' lists, the most recent ones.
        n_sources: how many features are such scores.
        k: cut-off of the NDCG.
        context: of the fit.
        names: of the features; without them, no ranker is fitted.

    Raises:
        DataError: no candidate of any user is relevant.
    """
    learn = learn.take(learn.useful)
    if not len(learn.items):
        raise DataError("no source offers an item that its validation user went on to take; give more interactions")
    blend = fit_blend(learn.features[:, :, :n_sources], learn.labels)
    measured = {"blend": Stack(blend, None, {}).ndcg(judge, k)}
    if names is None:
        return Stack(blend, None, measured)
    ranker = _ranker(learn, judge.take(judge.useful), blend, tuple(names), context)
    measured["ranker"] = Stack(blend, ranker, {}).ndcg(judge, k)
    context.progress(f"NDCG@{k} of the blend {measured['blend']:.4f}, of the ranker {measured['ranker']:.4f}")
    return Stack(blend, ranker if measured["ranker"] > measured["blend"] else None, measured)


def _ranker(learn: Lists, judge: Lists, blend: Floats, names: tuple[str, ...], context: FitContext) -> Ranker:
    """A network that starts at the blend; it stops when the judging lists say so."""
    from tastemaker.models.ranker.train import train_ranker

    start = np.zeros(len(names), dtype=np.float32)
    start[: len(blend)] = blend
    left = context.remaining_s
    return train_ranker(
        RankingLists(learn.features, learn.labels[:, :, None], names),
        RankerParameters(),
        validation=RankingLists(judge.features, judge.labels[:, :, None], names),
        seed=context.seed,
        deadline=time.monotonic() + left / 2 if np.isfinite(left) else None,
        wide_start=start,
        progress=context.progress,
    )
