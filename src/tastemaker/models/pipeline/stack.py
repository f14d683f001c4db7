"""What orders the candidates: the best source, the linear blend of all, or a ranker that began at it.

The richer order must earn its place on lists that it did not learn from: the blend by its mean, the ranker, which was
stopped where these lists liked it best, by more than the standard error of the difference.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Stack:
    """Scores candidates from their features.

    Attributes:
        blend: float32 ``[sources]``, weights of the first columns; a single 1 where the best source is better.
        rankers: networks that differ in their seed, whose scores are averaged; none where the blend is as good.
        measured: NDCG of the best source, of the blend and of the rankers on lists that none learned from.
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

    def ndcg(self, lists: Lists, k: int) -> npt.NDArray[np.float64]:
        """Float64 ``[lists]`` in this order; relevant items that nobody offered count as missed."""
        places = top_k(np.where(lists.labels >= 0, self.score(lists.features), -np.inf).astype(np.float32), k)
        hits = (np.take_along_axis(lists.labels, np.maximum(places, 0), axis=1) == 1) & (places >= 0)
        return ndcg(hits, np.maximum(lists.n_relevant, 1))


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
    sources = [Stack(alone, (), {}) for alone in np.eye(n_sources, dtype=np.float32)]
    rankers = _rankers(learn, judge.take(judge.useful), blend, tuple(names), context)
    best = max(sources, key=lambda source: source.ndcg(judge, k).sum())
    stacks = {"source": best, "blend": Stack(blend, (), {}), "ranker": Stack(blend, rankers, {})}
    figures = {name: stack.ndcg(judge, k) for name, stack in stacks.items()}
    measured = {name: float(figure.mean()) if len(figure) else float("nan") for name, figure in figures.items()}
    context.progress(f"NDCG@{k}: " + ", ".join(f"{name} {value:.4f}" for name, value in measured.items()))
    return replace(stacks[_choose(figures)], measured=measured)


def _choose(figures: Mapping[str, npt.NDArray[np.float64]]) -> str:
    """The order to use: a name of ``figures``, float64 ``[lists]`` each; the blend where there are no lists to tell."""
    if not len(figures["blend"]):
        return "blend"
    simple = "blend" if figures["blend"].mean() > figures["source"].mean() else "source"
    lead = figures["ranker"] - figures[simple]
    return "ranker" if lead.mean() > lead.std() / np.sqrt(len(lead)) else simple


def _rankers(
    learn: Lists, judge: Lists, blend: Floats, names: tuple[str, ...], context: FitContext
) -> tuple[Ranker, ...]:
    """Networks that start at the blend and stop when the judging lists say so: several, as long as time allows."""
    from tastemaker.models.ranker.train import train_ranker

    start = np.zeros(len(names), dtype=np.float32)
    start[: len(blend)] = blend
    begun = time.monotonic()
    until = context.deadline
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
