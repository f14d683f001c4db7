"""How strongly a given linear score should speak before anything is learned."""

import numpy as np
import numpy.typing as npt

from tastemaker.models.ranker.lists import RankingLists

__all__ = ["start_factor"]

_LISTS = 500
_FACTORS = np.geomspace(1 / 64, 256, 29)  # steps of the square root of two


def start_factor(lists: RankingLists, rows: npt.NDArray[np.int64], wide_start: npt.NDArray[np.float32]) -> float:
    """The factor, of a grid, at which the softmax over the linear score fits the hits of some lists best.

    Args:
        lists: see there.
        rows: which of them; some of these are looked at.
        wide_start: float32 ``[features]``, weights of the raw features; NaN counts as 0.
    """
    some = rows[:: max(1, len(rows) // _LISTS)]
    used = np.flatnonzero(wide_start)
    real = (lists.labels[some] >= 0).any(axis=2)
    hits = (lists.labels[some] == 1).any(axis=2)
    scores = np.nan_to_num(lists.features[some][:, :, used]) @ wide_start[used]
    spread = float(scores[real].std()) if real.any() else 0.0
    if spread == 0.0:
        return 1.0
    losses = []
    for factor in _FACTORS / spread:
        logits = np.where(real, scores * factor, -np.inf)
        top = logits.max(axis=1, keepdims=True)
        share = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        losses.append(-(np.where(hits, share, 0.0).sum(axis=1) / np.sqrt(np.maximum(hits.sum(axis=1), 1))).mean())
    return float(_FACTORS[int(np.argmin(losses))] / spread)
