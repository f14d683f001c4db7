"""Interactions as integer arrays and sparse matrices, and the step from scores to lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from tastemaker import names
from tastemaker.errors import DataError

__all__ = ["Encoded", "encode", "rank_rows", "top_k"]

_CELLS = 8_000_000  # of the dense score block held at one time: 64 MB

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Encoded:
    """Interactions before one moment.

    Attributes:
        users: ``str[n_users]``, sorted.
        items: ``str[n_items]``, sorted.
        rows: ``int[n]``, index into ``users``.
        cols: ``int[n]``, index into ``items``.
        age_days: ``float[n]``, days before the moment, above 0.
    """

    users: npt.NDArray[np.str_]
    items: npt.NDArray[np.str_]
    rows: Ints
    cols: Ints
    age_days: Floats

    def matrix(self, weights: Floats | None = None) -> sparse.csr_matrix:
        """``float[n_users, n_items]``: the sum of ``weights`` (else the count) over a user's interactions."""
        data = np.ones(len(self.rows)) if weights is None else weights
        return sparse.csr_matrix((data, (self.rows, self.cols)), shape=(len(self.users), len(self.items)))

    def popularity(self) -> Floats:
        """``[n_items]``: how many distinct users took each item; one heavy buyer counts once."""
        return np.asarray(_binary(self.matrix()).sum(axis=0), dtype=np.float64).ravel()

    def binary(self) -> sparse.csr_matrix:
        """``[n_users, n_items]``: 1 where a user took an item at all."""
        return _binary(self.matrix())


def encode(interactions: pa.Table, at: datetime) -> Encoded:
    """Encode what happened before ``at``.

    Raises:
        DataError: nothing did, or ``at`` has no timezone.
    """
    if at.tzinfo is None:
        raise DataError(f"the moment {at.isoformat()} has no timezone; give it in UTC")
    moment = interactions[names.OCCURRED_AT]
    edge = pa.scalar(at, type=moment.type)
    past = interactions.filter(pc.less(moment, edge))
    if not past.num_rows:
        raise DataError(f"no interactions before {at.isoformat()}; choose a later cut or import more history")
    users, rows = _index(past[names.USER_ID])
    items, cols = _index(past[names.ITEM_ID])
    micros = past[names.OCCURRED_AT].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    edge_us = pa.scalar(at, type=pa.timestamp("us", tz="UTC")).cast(pa.int64()).as_py()
    return Encoded(users, items, rows, cols, (edge_us - micros) / 86_400e6)


def top_k(scores: Floats, k: int) -> Ints:
    """The ``k`` highest columns of each row, best first; ties go to the lower column.

    Args:
        scores: ``[users, items]``, finite.
        k: at most ``items``.

    Returns:
        ``int[users, k]``.
    """
    # A full stable sort is exact about ties, which decide much for counts; 1,300 x 3,600 takes .3 s.
    return np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int64)


def rank_rows(
    encoded: Encoded, user_ids: Sequence[str], k: int, score: Callable[[Ints], Floats], fallback: Floats
) -> npt.NDArray[np.str_]:
    """Lists for any users, in blocks of bounded memory.

    Args:
        encoded: what the model was fitted on.
        user_ids: whom to rank for.
        k: length of the lists.
        score: from rows of known users ``int[n]`` to ``float[n, n_items]``.
        fallback: ``float[n_items]``, the scores of an unknown user.

    Returns:
        ``str[users, k]``, filled up with ``""``.
    """
    asked = np.asarray(list(user_ids), dtype=np.str_)
    ranked = np.full((len(asked), k), "", dtype=encoded.items.dtype)
    width = min(k, len(encoded.items))
    ranked[:, :width] = encoded.items[top_k(fallback[None, :], width)]
    rows = np.searchsorted(encoded.users, asked).clip(max=len(encoded.users) - 1)
    known = np.flatnonzero(encoded.users[rows] == asked) if len(asked) else np.empty(0, dtype=np.int64)
    step = max(1, _CELLS // len(encoded.items))
    for start in range(0, len(known), step):
        block = known[start : start + step]
        ranked[block, :width] = encoded.items[top_k(score(rows[block]), width)]
    return ranked


def _index(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.str_], Ints]:
    values = pc.unique(column)
    ordered = values.take(pc.sort_indices(values))
    codes = pc.index_in(column, value_set=ordered).to_numpy().astype(np.int64)
    # numpy's order of strings is by code point as well, so a searchsorted on the result is right.
    return np.asarray(ordered.to_pylist(), dtype=np.str_), codes


def _binary(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    matrix = matrix.copy()
    matrix.data[:] = 1.0
    return matrix
