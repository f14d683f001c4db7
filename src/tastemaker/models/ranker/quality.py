"""How well scores order lists."""

import numpy as np
import numpy.typing as npt

from tastemaker.models.ndcg import ndcg

__all__ = ["list_ndcg", "mean_ndcg"]


def list_ndcg(
    scores: npt.NDArray[np.floating], labels: npt.NDArray[np.floating], k: int = 10
) -> npt.NDArray[np.float64]:
    """Binary NDCG at ``k`` of each list, its ideal cut at ``min(k, hits)``; ties go to the earlier candidate.

    Args:
        scores: ``[lists, candidates]``.
        labels: ``[lists, candidates]``: 1, 0, or -1 for padding.
        k: depth.

    Returns:
        float64 ``[lists]``; NaN for a list without a hit.
    """
    order = np.argsort(np.where(labels < 0, np.inf, -scores), axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(labels, order, axis=1) == 1
    if hits.shape[1] < k:
        hits = np.pad(hits, ((0, 0), (0, k - hits.shape[1])))
    return ndcg(hits, (labels == 1).sum(axis=1))


def mean_ndcg(
    logits: npt.NDArray[np.floating],
    labels: npt.NDArray[np.floating],
    outcome_weights: tuple[float, ...],
    k: int = 10,
) -> float:
    """NDCG at ``k`` over the lists with a hit, per outcome by its own scores, then the weighted mean of the outcomes.

    Args:
        logits: ``[lists, candidates, outcomes]``.
        labels: the same shape.
        outcome_weights: of each outcome.
        k: depth.

    Returns:
        NaN when no list has a hit.
    """
    total = weight = 0.0
    for outcome, share in enumerate(outcome_weights):
        values = list_ndcg(logits[:, :, outcome], labels[:, :, outcome], k)
        if not np.isnan(values).all():
            total, weight = total + share * float(np.nanmean(values)), weight + share
    return total / weight if weight else float("nan")
