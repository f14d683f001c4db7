"""Features of all entities of some views, kept in this process: ranking reads hundreds of items per request.

Values are those of :class:`~tastemaker.features.reading.reader.FeatureReader`, bit for bit, at any moment, as of the
revision of the store that was read last: each row knows from when until when its values hold while nothing happens to
it, and a read outside of that collapses its state again. The time since an event is computed as it is read.

Memory is that of the entries of the views' packed states that the kept features read, 8 bytes per feature and entity,
and about 300 bytes per entity. Measured: 9 KB per product of Online Retail (140 purchases and returns in a year; 20
features over up to 90 days), so 0.85 GiB for 100,000 of them.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reading.reader import Key
from tastemaker.features.reading.resident_table import ResidentTable
from tastemaker.features.stores.protocol import Row, StoreReader

__all__ = ["ResidentMatrix"]

_LIMIT: Final = 2000


class _Follower:
    """Keeps the table of one view up to date, a piece at a time.

    Args:
        store: where the rows are.
        view: which.
        features: names of those to keep.
    """

    def __init__(self, store: StoreReader, view: ViewPlan, features: tuple[str, ...]) -> None:
        self._store = store
        self._view = view
        self._features = features
        self._rev = 0
        self._pending: dict[str, None] = {}
        self._loading: tuple[ResidentTable, Iterator[tuple[str, Row]]] | None = None
        self._row_of: Callable[[Key], int] | None = None
        self.table = ResidentTable(view, features)

    def number_by(self, row_of: Callable[[Key], int]) -> None:
        """See :meth:`ResidentTable.number_by`."""
        self._row_of = row_of
        self.table.number_by(row_of)

    def step(self, now_us: int, limit: int) -> bool:
        """Do a piece of work; whether nothing was left, as of when it began."""
        if self._loading is None:
            self._rev, keys = self._store.changes(self._view.signature, self._rev)
            if keys is None:
                rows = iter(self._store.all_rows(self._view.signature))
                self._loading = ResidentTable(self._view, self._features), rows
                self._pending.clear()
            else:
                self._pending.update(dict.fromkeys(keys))
        if self._loading is not None:
            return self._load(*self._loading, now_us, limit)
        chunk = list(islice(self._pending, limit))
        if chunk:
            self.table.write(dict(zip(chunk, self._store.rows(self._view.signature, chunk), strict=True)), now_us)
            for key in chunk:
                del self._pending[key]
        left = limit - len(chunk)
        expired = self.table.expired(now_us, left)
        if expired:
            self.table.renew(expired, now_us)
        return not self._pending and len(expired) < max(left, 1)

    def _load(self, table: ResidentTable, rows: Iterator[tuple[str, Row]], now_us: int, limit: int) -> bool:
        """Read on; the old table answers until the new one is whole."""
        try:
            chunk = dict(islice(rows, limit))
            table.write(chunk, now_us)
        except BaseException:
            self._loading, self._rev = None, 0  # what is there is only a part: begin again
            raise
        if len(chunk) == limit:
            return False
        if self._row_of is not None:
            table.number_by(self._row_of)
        self.table, self._loading = table, None
        return True


class ResidentMatrix:
    """Numeric features of whole views; read from any thread while one refreshes it.

    Args:
        store: where the rows are.
        plan: the applied declarations.
        views: names of aggregate or batch views, each with the features to keep (None for all numeric ones).
        now_us: the moment, in microseconds; everything is read once, here.

    Raises:
        DataError: a view or feature is not there, or is no number.
    """

    def __init__(
        self, store: StoreReader, plan: FeaturePlan, views: Mapping[str, Sequence[str] | None], now_us: int
    ) -> None:
        self._refreshing = threading.Lock()
        self._followers: dict[str, _Follower] = {}
        self._columns: dict[tuple[str, tuple[str, ...]], npt.NDArray[np.int64]] = {}
        for name, features in views.items():
            view = plan.view(name)
            if view.kind == "history":
                raise DataError(f"view {name} is a history, which has no numbers; read it with history()")
            kept = [one.name for one in view.features if one.is_numeric] if features is None else features
            self._followers[name] = _Follower(store, view, tuple(kept))
        while not self.refresh(now_us):
            pass

    def __contains__(self, view: str) -> bool:
        """Whether a view is kept."""
        return view in self._followers

    @property
    def nbytes(self) -> int:
        """Memory of all that is kept, in bytes."""
        return sum(follower.table.nbytes for follower in self._followers.values())

    def matrix(
        self, view: str, keys: Sequence[Key], now_us: int, features: Sequence[str] | None = None
    ) -> npt.NDArray[np.float32]:
        """As :meth:`tastemaker.features.reading.reader.FeatureReader.matrix`; None for all features that are kept.

        Raises:
            DataError: the view or a feature is not kept.
        """
        table = self._follower(view).table
        return table.matrix(keys, now_us, None if features is None else self._places(table, tuple(features)))

    def number_by(self, row_of: Callable[[Key], int]) -> None:
        """Let entities be asked for by numbers: see :meth:`ResidentTable.number_by`."""
        for follower in self._followers.values():
            follower.number_by(row_of)

    def matrix_of_rows(
        self,
        view: str,
        rows: npt.NDArray[np.int64],
        key_of: Callable[[int], Key],
        now_us: int,
        features: Sequence[str] | None = None,
    ) -> npt.NDArray[np.float32]:
        """As :meth:`matrix`, of entities by their numbers: see :meth:`ResidentTable.matrix_of_rows`."""
        table = self._follower(view).table
        columns = None if features is None else self._places(table, tuple(features))
        return table.matrix_of_rows(rows, key_of, now_us, columns)

    def refresh(self, now_us: int, limit: int = _LIMIT) -> bool:
        """Follow the store, and the passing of time, for a bounded piece of work.

        Args:
            now_us: the moment, in microseconds.
            limit: at most so many rows of each view.

        Returns:
            Whether it is up to date; if not, call it again.
        """
        with self._refreshing:
            return all([follower.step(now_us, limit) for follower in self._followers.values()])

    def _follower(self, view: str) -> _Follower:
        if view not in self._followers:
            raise DataError(f"view {view} is not kept in this process; it keeps {', '.join(self._followers)}")
        return self._followers[view]

    def _places(self, table: ResidentTable, features: tuple[str, ...]) -> npt.NDArray[np.int64]:
        known = self._columns.get((table.view.name, features))
        if known is None:
            if missing := [name for name in features if name not in table.features]:
                raise DataError(f"feature {missing[0]} of view {table.view.name} is not kept in this process")
            known = np.array([table.features.index(name) for name in features], np.int64)
            self._columns[table.view.name, features] = known
        return known
