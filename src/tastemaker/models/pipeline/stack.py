"""What orders the candidates: the linear blend of the sources, or a ranker that began at it, whichever is better."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.models.ndcg import ndcg
from tastemaker.models.pipeline.blend import fit_blend
from tastemaker.models.pipeline.lists import Lists
from tastemaker.models.protocol import FitContext
from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.parameters import RankerParameters
from tastemaker.models.ranking import top_k

if TYPE_CHECKING:
    from tastemaker.models.ranker.ranker import Ranker

__all__ = ["Stack", "fit_stack"]

_RANKERS = 3  # averaged; one alone differs by a hundredth from seed to seed
_TIME = 0.4  # share of what is left of the budget that they may take

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Stack:
    """Scores candidates from their features.

    Attributes:
        blend: float32 ``[sources]``, weights of the first columns.
        rankers: networks that differ in their seed, whose scores are averaged; none where the blend is better.
        measured: NDCG of both on lists that neither learned from.
    """

    blend: Floats
    rankers: tuple[Ranker, ...]
    measured: dict[str, float]

    def score(self, features: Floats) -> Floats:
        """Float32 ``[users, n, features]`` to ``[users, n]``."""
        if not self.rankers:
            return np.asarray(features[:, :, : len(self.blend)] @ self.blend, dtype=np.float32)
        flat = features.reshape(-1, features.shape[2])
        mean = sum(ranker.score(flat) for ranker in self.rankers) / len(self.rankers)
        return np.asarray(mean, dtype=np.float32).reshape(features.shape[:2])

    def ndcg(self, lists: Lists, k: int) -> float:
        """Of the lists in this order; relevant items that nobody offered count as missed."""
        places = top_k(np.where(lists.labels >= 0, self.score(lists.features), -np.inf).astype(np.float32), k)
        hits = (np.take_along_axis(lists.labels, np.maximum(places, 0), axis=1) == 1) & (places >= 0)
        return float(ndcg(hits, np.maximum(lists.n_relevant, 1)).mean())


def fit_stack(
    learn: Lists,
    judge: Lists,
    n_sources: int,
    *,
    k: int,
    context: FitContext,
    names: Sequence[str],
) -> Stack:
    """Learn on some lists, choose on others.

    Args:
        learn: to learn from; their first features are the sources' standardised scores.
        judge: other users' lists, the most recent ones.
        n_sources: how many features are such scores.
        k: cut-off of the NDCG.
        context: of the fit.
        names: of the features.

    Raises:
        DataError: no candidate of any user is relevant.
    """
    learn = learn.take(learn.useful)
    if not len(learn.items):
        raise DataError("no source offers an item that its validation user went on to take; give more interactions")
    blend = fit_blend(learn.features[:, :, :n_sources], learn.labels)
    measured = {"blend": Stack(blend, (), {}).ndcg(judge, k)}
    rankers = _rankers(learn, judge.take(judge.useful), blend, tuple(names), context)
    measured["ranker"] = Stack(blend, rankers, {}).ndcg(judge, k)
    context.progress(f"NDCG@{k} of the blend {measured['blend']:.4f}, of the ranker {measured['ranker']:.4f}")
    return Stack(blend, rankers if measured["ranker"] > measured["blend"] else (), measured)


def _rankers(
    learn: Lists, judge: Lists, blend: Floats, names: tuple[str, ...], context: FitContext
) -> tuple[Ranker, ...]:
    """Networks that start at the blend and stop when the judging lists say so: several, as long as time allows."""
    from tastemaker.models.ranker.train import train_ranker

    start = np.zeros(len(names), dtype=np.float32)
    start[: len(blend)] = blend
    begun = time.monotonic()
    until = begun + _TIME * context.remaining_s if np.isfinite(context.remaining_s) else None
    rankers: list[Ranker] = []
    while len(rankers) < _RANKERS:
        each_s = (time.monotonic() - begun) / max(1, len(rankers))
        if rankers and until is not None and time.monotonic() + each_s > until:
            break
        rankers.append(
            train_ranker(
                RankingLists(learn.features, learn.labels[:, :, None], names),
                RankerParameters(hidden=(128, 64), dropout=0.2),
                validation=RankingLists(judge.features, judge.labels[:, :, None], names),
                seed=context.seed + len(rankers),
                deadline=until,
                wide_start=start,
                progress=context.progress,
            )
        )
    return tuple(rankers)
