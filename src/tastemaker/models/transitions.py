"""Which item follows which, counted over sequences."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker.models.histories import Floats, Histories
from tastemaker.models.inputs import moments, square_matrix
from tastemaker.models.jit import compiled, in_threads

__all__ = ["transitions"]

_PLACES = 100  # looked at to each side, however large a basket is

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


def transitions(
    train: Histories, *, window: int, fade: float, backward: float, exponent: float, smoothing: float, k: int
) -> sparse.csr_matrix:
    """How strongly each item leads to others.

    An item ``s`` moments after another counts ``fade ** (s - 1)``, one before it ``backward`` times that, one of the
    same moment, as in a basket, 1. The sum is divided by ``(own total + smoothing) ** (1 - exponent) * (other's total +
    smoothing) ** exponent``: a transition probability at exponent 0, a cosine at 0.5.

    Args:
        train: sequences, oldest first.
        window: moments looked at to each side.
        fade: in (0, 1].
        backward: at least 0.
        exponent: how much popular targets are held back.
        smoothing: added to the totals: rare items are sure of nothing.
        k: targets kept per item.

    Returns:
        float32 ``[items, items]``, from the row to the column, at most ``k`` per row.
    """
    n_items = train.n_items
    order = np.argsort(train.items, kind="stable").astype(np.int64)
    item_offsets = np.concatenate([[0], np.cumsum(np.bincount(train.items, minlength=n_items))]).astype(np.int64)
    totals = np.diff(item_offsets).astype(np.float64)
    width = min(k, n_items)
    columns = np.full((n_items, width), -1, np.int32)
    values = np.zeros((n_items, width), np.float32)
    own = ((totals + smoothing) ** (1.0 - exponent)).astype(np.float32)
    other = ((totals + smoothing) ** exponent).astype(np.float32)
    numbered = moments(train)
    fading = (fade ** np.maximum(np.arange(window + 1) - 1, 0)).astype(np.float32)
    starts = np.repeat(train.offsets[:-1], train.lengths)
    ends = np.repeat(train.offsets[1:], train.lengths)

    def work(start: int, stop: int) -> None:
        _count(
            start, stop, item_offsets, order, train.items, numbered, starts, ends, fading, np.float32(backward), own,
            other, columns, values,
        )  # fmt: skip

    in_threads(work, n_items)
    return square_matrix(columns, values)


@compiled
def _count(  # noqa: PLR0917 - compiled functions take their arguments by position
    start: int,
    stop: int,
    item_offsets: Int64s,
    order: Int64s,
    items: Int32s,
    numbered: Int64s,
    starts: Int64s,
    ends: Int64s,
    fading: Floats,
    backward: np.float32,
    own: Floats,
    other: Floats,
    columns: Int32s,
    values: Floats,
) -> None:
    """Rows from ``start`` up to ``stop`` of ``columns`` and ``values``."""
    width = columns.shape[1]
    sums = np.zeros(len(own), np.float32)
    met = np.empty(len(own), np.int32)
    for item in range(start, stop):
        n_met = 0
        for p in range(item_offsets[item], item_offsets[item + 1]):
            here = order[p]
            for side in range(2):
                for step in range(1, _PLACES + 1):
                    there = here + step if side == 0 else here - step
                    if there < starts[here] or there >= ends[here]:
                        break
                    apart = abs(numbered[there] - numbered[here])
                    if apart >= len(fading):
                        break
                    weight = fading[apart]
                    if side == 1 and apart > 0:
                        weight *= backward
                    if weight <= 0.0:
                        break
                    j = items[there]
                    if sums[j] == 0.0:
                        met[n_met] = j
                        n_met += 1
                    sums[j] += weight
        strength = np.empty(n_met, np.float32)
        for m in range(n_met):
            strength[m] = sums[met[m]] / (own[item] * other[met[m]])
            sums[met[m]] = 0.0
        bound = np.float32(0.0)
        if n_met > width:
            bound = np.partition(strength, n_met - width)[n_met - width]
        n_kept = 0
        for m in range(n_met):
            if strength[m] > bound and n_kept < width:
                columns[item, n_kept] = met[m]
                values[item, n_kept] = strength[m]
                n_kept += 1
        for m in range(n_met):
            if strength[m] == bound and bound > 0.0 and n_kept < width:
                columns[item, n_kept] = met[m]
                values[item, n_kept] = strength[m]
                n_kept += 1
