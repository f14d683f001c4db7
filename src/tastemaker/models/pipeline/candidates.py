"""Candidates: the union of what the sources rank highest, each with the score of every source."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.models.protocol import Model
from tastemaker.models.ranking import PADDING, top_k

__all__ = ["Candidates", "find_candidates"]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Lists to rank.

    Attributes:
        items: int32 ``[users, n]``, in the order of their codes, padded with -1.
        scores: float32 ``[users, n, sources]``: of every source, whether it named the item or not; 0 at padding.
        ranks: int32 ``[users, n, sources]``: the item's rank among its user's candidates by that source, from 0.
        everything: float32 ``[users, items]``: the blend of the sources over the whole catalogue, standardised per
            user, ``-inf`` for what must not be listed; None when it was not asked for.
    """

    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    ranks: npt.NDArray[np.int32]
    everything: npt.NDArray[np.float32] | None = None


def find_candidates(
    sources: Sequence[Model],
    histories: Histories,
    each: int,
    *,
    exclude_seen: bool,
    blend: npt.NDArray[np.float32] | None = None,
) -> Candidates:
    """Ask every source.

    Args:
        sources: fitted.
        histories: of a block of users: the scores of all items are held at one time, of every source.
        each: how many items a source may name.
        exclude_seen: no item of a user's own history.
        blend: float32 ``[sources]``, weights; with them, the whole catalogue is scored too.
    """
    n_users, n_items = histories.n_users, histories.n_items
    named = np.zeros((n_users, n_items), dtype=np.bool_)
    every = []
    n = min(each, n_items)
    for source in sources:
        scores = source.score(histories)
        if exclude_seen:
            scores[histories.rows, histories.items] = -np.inf
        best = top_k(scores, n)
        named[np.nonzero(best >= 0)[0], best[best >= 0]] = True
        every.append(scores)
    rows, columns = np.nonzero(named)
    sizes = named.sum(axis=1)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    shape = (n_users, int(sizes.max(initial=0)))
    items = np.full(shape, PADDING, dtype=np.int32)
    items[rows, place] = columns
    found = np.zeros((*shape, len(every)), dtype=np.float32)
    ranks = np.zeros(found.shape, dtype=np.int32)
    order = np.empty(shape, dtype=np.int32)
    for source_at, scores in enumerate(every):
        found[rows, place, source_at] = scores[rows, columns]
        padded = np.where(items >= 0, found[:, :, source_at], -np.inf)
        sorting = np.argsort(-padded, axis=1, kind="stable")
        np.put_along_axis(order, sorting, np.arange(shape[1], dtype=np.int32)[None, :], axis=1)
        ranks[:, :, source_at] = order
    everything = None if blend is None else _blended(every, blend)
    return Candidates(items, found, ranks, everything)


def _blended(every: Sequence[npt.NDArray[np.float32]], blend: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    total = np.zeros_like(every[0])
    for scores, weight in zip(every, blend, strict=True):
        if weight > 0:
            total += weight * _standard(scores)
    return _standard(total)


def _standard(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean 0 and spread 1 per user over what may be listed."""
    listed = np.where(np.isfinite(scores), scores, np.nan)
    mean, spread = np.nanmean(listed, axis=1, keepdims=True), np.nanstd(listed, axis=1, keepdims=True)
    return np.asarray((scores - mean) / np.maximum(spread, 1e-9), dtype=np.float32)
