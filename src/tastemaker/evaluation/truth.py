"""What test users really took, as padded index arrays over a catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.evaluation.metrics import PADDING

__all__ = ["Ranking", "Truth"]

# Item ids by user, or ``[users, k]`` item ids in the order of ``Truth.user_ids``; "" is an empty place.
Ranking = Mapping[str, Sequence[str]] | npt.NDArray[np.str_] | npt.NDArray[np.object_]


@dataclass(frozen=True)
class Truth:
    """Relevant items of each test user.

    Attributes:
        user_ids: ``str[users]``, sorted.
        catalogue: ``str[items]``, sorted: what could be recommended.
        relevant: ``int[users, m]``, indices into ``catalogue``, distinct, padded with -1.
    """

    user_ids: npt.NDArray[np.str_]
    catalogue: npt.NDArray[np.str_]
    relevant: npt.NDArray[np.int64]

    @classmethod
    def of(cls, interactions: pa.Table, catalogue: npt.NDArray[np.str_]) -> "Truth":
        """The distinct items of each user.

        Args:
            interactions: columns ``user_id`` and ``item_id``; every item is in ``catalogue``.
            catalogue: item ids, in any order.
        """
        catalogue = np.unique(catalogue)
        pairs = interactions.select([names.USER_ID, names.ITEM_ID]).group_by([names.USER_ID, names.ITEM_ID])
        distinct = pairs.aggregate([])
        user_ids = np.unique(np.asarray(pc.unique(distinct[names.USER_ID]).to_pylist(), dtype=np.str_))
        if not len(user_ids):
            return cls(user_ids, catalogue, np.empty((0, 0), dtype=np.int64))
        rows = np.searchsorted(user_ids, np.asarray(distinct[names.USER_ID].to_pylist(), dtype=np.str_))
        cols = np.searchsorted(catalogue, np.asarray(distinct[names.ITEM_ID].to_pylist(), dtype=np.str_))
        order = np.lexsort((cols, rows))
        rows, cols = rows[order], cols[order]
        sizes = np.bincount(rows, minlength=len(user_ids))
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        relevant = np.full((len(user_ids), int(sizes.max())), PADDING, dtype=np.int64)
        relevant[rows, np.arange(len(rows)) - starts[rows]] = cols
        return cls(user_ids, catalogue, relevant)

    def index(self, ranking: Ranking, k: int) -> npt.NDArray[np.int64]:
        """Item ids to indices.

        An item outside the catalogue keeps its place in the list and can never be a hit: it gets an index of
        its own from ``len(catalogue)`` on.

        Args:
            ranking: see :data:`Ranking`; longer lists are cut at ``k``.
            k: the cut-off.

        Returns:
            ``int[users, k]``, padded with -1.

        Raises:
            DataError: a mapping lacks a test user, or an array has another number of rows.
        """
        ids = self._aligned(ranking, k)
        if not len(self.catalogue):
            raise DataError("the catalogue is empty: no item was known before the cut")
        found = np.searchsorted(self.catalogue, ids).clip(max=len(self.catalogue) - 1)
        known = self.catalogue[found] == ids
        strange, codes = np.unique(ids, return_inverse=True)
        indices = np.where(known, found, len(self.catalogue) + codes.reshape(ids.shape))
        return np.where(ids == "", PADDING, indices).astype(np.int64) if len(strange) else indices.astype(np.int64)

    def _aligned(self, ranking: Ranking, k: int) -> npt.NDArray[np.str_]:
        if isinstance(ranking, Mapping):
            absent = [user for user in self.user_ids.tolist() if user not in ranking]
            if absent:
                raise DataError(
                    f"the ranking has no list for {len(absent)} test users, {absent[0]!r} first; rank all of them"
                )
            lists = [list(ranking[user])[:k] for user in self.user_ids.tolist()]
            return np.array([[*items, *[""] * (k - len(items))] for items in lists], dtype=np.str_).reshape(-1, k)
        array = np.asarray(ranking)
        if array.ndim != 2 or len(array) != len(self.user_ids):
            raise DataError(f"the ranking has shape {array.shape}; {len(self.user_ids)} test users need as many rows")
        ids = np.full((len(array), k), "", dtype=object)
        ids[:, : min(k, array.shape[1])] = array[:, :k]
        ids[ids == None] = ""  # noqa: E711  (elementwise)
        return ids.astype(np.str_)
