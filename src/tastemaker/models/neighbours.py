"""The items that occur together most often, per item, without ever holding all pairs."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tastemaker.models.histories import Floats
from tastemaker.models.inputs import square_matrix
from tastemaker.models.jit import compiled, in_threads

__all__ = ["nearest_items"]

Int32s = npt.NDArray[np.int32]


def nearest_items(
    taken: sparse.csr_matrix, *, k: int, user_weights: Floats, exponent: float = 0.5, shrinkage: float = 0.0
) -> sparse.csr_matrix:
    """Similarities of each item with its nearest others.

    ``sum over common users of w_u / (d_i ** exponent * d_j ** (1 - exponent) + shrinkage)``, where ``d`` is the sum of
    the weights of an item's users: cosine at 0.5 (Sarwar et al., 2001), with shrinkage (Bell and Koren, 2007).

    Args:
        taken: binary ``[users, items]``.
        k: neighbours of an item.
        user_weights: ``[users]``.
        exponent: of the degree of the item in the row.
        shrinkage: added to the denominator: pairs with little evidence lose.

    Returns:
        float32 ``[items, items]``, at most ``k`` per row, nothing on the diagonal.
    """
    n_items = taken.shape[1]
    by_item = taken.tocsc()
    weighted = sparse.diags(user_weights).dot(taken)
    degrees = np.maximum(np.asarray(weighted.sum(axis=0), dtype=np.float32).ravel(), np.float32(1e-12))
    width = min(k, max(n_items - 1, 1))
    columns = np.full((n_items, width), -1, np.int32)
    values = np.zeros((n_items, width), np.float32)
    own, other = degrees**exponent, degrees ** (1.0 - exponent)

    def work(start: int, stop: int) -> None:
        _nearest(
            start, stop, by_item.indptr, by_item.indices, taken.indptr, taken.indices, user_weights.astype(np.float32),
            own.astype(np.float32), other.astype(np.float32), np.float32(shrinkage), columns, values,
        )  # fmt: skip

    in_threads(work, n_items)
    return square_matrix(columns, values)


@compiled
def _nearest(  # noqa: PLR0917 - compiled functions take their arguments by position
    start: int,
    stop: int,
    item_offsets: Int32s,
    item_users: Int32s,
    user_offsets: Int32s,
    user_items: Int32s,
    user_weights: Floats,
    own: Floats,
    other: Floats,
    shrinkage: np.float32,
    columns: Int32s,
    values: Floats,
) -> None:
    """Rows from ``start`` up to ``stop`` of ``columns`` and ``values``."""
    n_items = len(item_offsets) - 1
    width = columns.shape[1]
    together = np.zeros(n_items, np.float32)
    met = np.empty(n_items, np.int32)
    for item in range(start, stop):
        n_met = 0
        for p in range(item_offsets[item], item_offsets[item + 1]):
            user = item_users[p]
            weight = user_weights[user]
            for q in range(user_offsets[user], user_offsets[user + 1]):
                j = user_items[q]
                if together[j] == 0.0:
                    met[n_met] = j
                    n_met += 1
                together[j] += weight
        similar = np.empty(n_met, np.float32)
        for m in range(n_met):
            j = met[m]
            similar[m] = together[j] / (own[item] * other[j] + shrinkage)
            if j == item:
                similar[m] = -1.0
            together[j] = 0.0
        bound = np.float32(0.0)
        if n_met > width:
            bound = np.partition(similar, n_met - width)[n_met - width]
        n_kept = 0
        for m in range(n_met):  # above the bound first, then at it, as far as there is room
            if similar[m] > bound and n_kept < width:
                columns[item, n_kept] = met[m]
                values[item, n_kept] = similar[m]
                n_kept += 1
        for m in range(n_met):
            if similar[m] == bound and bound > 0.0 and n_kept < width:
                columns[item, n_kept] = met[m]
                values[item, n_kept] = similar[m]
                n_kept += 1
