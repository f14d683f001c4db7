"""The linear blend of the sources' scores: one weight each, learned on whole lists."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

__all__ = ["fit_blend"]

_RIDGE = 1e-3


def fit_blend(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Weights, none below 0, that make the relevant candidates likely: the listwise softmax loss.

    Cao et al., *Learning to Rank: From Pairwise Approach to Listwise Approach*, ICML 2007; convex in the weights.

    Args:
        scores: float32 ``[lists, candidates, sources]``, standardised per list and source.
        labels: float32 ``[lists, candidates]``: 1, 0, or -1 for padding; every list has a 1.

    Returns:
        float32 ``[sources]``.
    """
    real = labels >= 0
    hits = np.where(labels > 0, 1.0, 0.0)
    share = (hits / np.sqrt(hits.sum(axis=1, keepdims=True))).astype(np.float32)
    total = share.sum(axis=1, keepdims=True)

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        score = np.where(real, scores @ weights.astype(np.float32), -np.inf)
        top = score.max(axis=1, keepdims=True)
        exponent = np.exp(score - top)
        norm = exponent.sum(axis=1, keepdims=True)
        log_share = np.where(real, score - top - np.log(norm), 0.0)
        slope = total * exponent / norm - share
        gradient = np.einsum("lc,lcs->s", slope, scores) / len(scores) + _RIDGE * weights
        return float(-(share * log_share).sum() / len(scores) + _RIDGE / 2 * weights @ weights), gradient

    n = scores.shape[2]
    found = minimize(loss, np.full(n, 1.0 / n), jac=True, bounds=[(0.0, None)] * n, method="L-BFGS-B")
    return np.asarray(found.x, dtype=np.float32)
