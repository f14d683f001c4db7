"""The rows of one view in this process, as one matrix."""

import threading
from collections.abc import Callable, Mapping, Sequence
from sys import getsizeof
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tastemaker.features.keys import split_key
from tastemaker.features.plan import ViewPlan
from tastemaker.features.reading.lasting import FOREVER, at_moment, lasting_values
from tastemaker.features.reading.needed_entries import needed_rows
from tastemaker.features.reading.reader import Key
from tastemaker.features.semantics import NEVER
from tastemaker.features.stores.protocol import Row

__all__ = ["ResidentTable"]

_NOT_LOOKED_UP: Final = -1


class _Taken(NamedTuple):
    """Rows of the table as they were at one moment.

    Attributes:
        values: float64 ``[n, features]``.
        times: int64 ``[n, timed features]``.
        stale: int64, places of those whose values do not hold at the moment that is asked for.
        rows: of these.
    """

    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.int64]
    stale: npt.NDArray[np.intp]
    rows: list[Row | None]


def _no_row(_: Key) -> int:
    return -1


class ResidentTable:
    """Numeric features of all entities of a view; read from any thread, written by one at a time.

    Args:
        view: an aggregate or batch view.
        features: names of those that it keeps.

    Raises:
        DataError: a feature is no number, or the view has none of that name.
    """

    def __init__(self, view: ViewPlan, features: tuple[str, ...]) -> None:
        self.view = view
        self.features = features
        self._lock = threading.Lock()
        # Place 0 stands for the entities that the store does not know.
        self._places: dict[Key, int] = {}
        self._free: list[int] = []
        self._rows: list[Row | None] = [None]
        found = lasting_values(view, features, [None], 0)
        self._values, self._since, self._until = found.values, found.since, found.until
        timed = {"age", "time_since_last", "time_since_first"}
        self._timed = np.flatnonzero([view.feature(name).function in timed for name in features])
        self._times = found.times[:, self._timed]
        # Where a caller's numbers of entities are: see number_by.
        self._row_of: Callable[[Key], int] = _no_row
        self._by_row = np.zeros(0, np.int64)

    def number_by(self, row_of: Callable[[Key], int]) -> None:
        """Let entities be asked for by numbers, which is quicker for hundreds of them than by keys.

        Args:
            row_of: the number of a key, 0 or more, which it keeps for ever; negative for one that has none.
        """
        with self._lock:
            self._row_of, self._by_row = row_of, np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def nbytes(self) -> int:
        """Memory of all that it keeps, in bytes."""
        with self._lock:
            kept = sum(getsizeof(row) + getsizeof(row.event_us) + getsizeof(row.state) for row in self._rows if row)
            keys = getsizeof(self._places) + sum(map(getsizeof, self._places)) + getsizeof(self._rows)
            arrays = (self._values, self._times, self._since, self._until)
            return kept + keys + sum(array.nbytes for array in arrays)

    def matrix(
        self, keys: Sequence[Key], now_us: int, columns: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.float32]:
        """Features of some entities, float32 ``[n, columns]``.

        Args:
            keys: of the entities; those that it does not know are at their defaults.
            now_us: the moment, in microseconds.
            columns: which of the features; None for all in order.
        """
        with self._lock:
            find = self._places.get
            places = np.array([find(key, 0) for key in keys], np.int64)
            if not places.all():
                places = np.array([self._place(key) for key in keys], np.int64)
            taken = self._take(places, now_us)
        return self._at_moment(taken, now_us, columns)

    def matrix_of_rows(
        self,
        rows: npt.NDArray[np.int64],
        key_of: Callable[[int], Key],
        now_us: int,
        columns: npt.NDArray[np.int64] | None = None,
    ) -> npt.NDArray[np.float32]:
        """As :meth:`matrix`, of entities by their numbers.

        Args:
            rows: int64 ``[n]``, numbers as of :meth:`number_by`.
            key_of: the key of a number.
            now_us: the moment, in microseconds.
            columns: which of the features; None for all in order.
        """
        with self._lock:
            if len(rows) and (largest := int(rows.max())) >= len(self._by_row):
                more = np.full(max(largest + 1 - len(self._by_row), len(self._by_row) // 4), _NOT_LOOKED_UP, np.int64)
                self._by_row = np.concatenate([self._by_row, more])
            places = self._by_row[rows]
            unknown = places == _NOT_LOOKED_UP
            if unknown.any():
                places[unknown] = [self._place(key_of(row)) for row in rows[unknown].tolist()]
                self._by_row[rows[unknown]] = places[unknown]
            taken = self._take(places, now_us)
        return self._at_moment(taken, now_us, columns)

    def _take(self, places: npt.NDArray[np.int64], now_us: int) -> "_Taken":
        """What is kept at some places, under the lock."""
        stale = np.flatnonzero((self._since.take(places) > now_us) | (self._until.take(places) <= now_us))
        rows = [self._rows[place] for place in places[stale].tolist()]
        return _Taken(self._values.take(places, axis=0), self._times.take(places, axis=0), stale, rows)

    def _at_moment(
        self, taken: "_Taken", now_us: int, columns: npt.NDArray[np.int64] | None
    ) -> npt.NDArray[np.float32]:
        values, times, stale, rows = taken
        if rows:
            found = lasting_values(self.view, self.features, rows, now_us)
            values[stale], times[stale] = found.values, found.times[:, self._timed]
        if len(self._timed):
            aged = values[:, self._timed]
            at_moment(aged, times, now_us)
            values[:, self._timed] = aged
        return (values if columns is None else values.take(columns, axis=1)).astype(np.float32)

    def _place(self, key: Key) -> int:
        # A view of one entity is also read by a tuple of one id.
        return self._places.get(key[0] if isinstance(key, tuple) and len(key) == 1 else key, 0)

    def write(self, rows: Mapping[str, Row | None], now_us: int) -> None:
        """Take over rows as the store has them, by key; None forgets one."""
        gone = [key for key, row in rows.items() if row is None]
        kept = {key: row for key, row in rows.items() if row is not None}
        states = list(kept.values())
        if self.view.kind == "aggregate":
            states = needed_rows(self.view, self.features, states)
        found = lasting_values(self.view, self.features, states, now_us)
        with self._lock:
            for key in gone:
                place = self._places.pop(self._key(key), 0)
                if place:
                    self._rows[place] = None
                    self._until[place] = FOREVER
                    self._free.append(place)
                    self._renumber(self._key(key), 0)
            places = np.array([self._claim(self._key(key)) for key in kept], np.int64)
            for place, row in zip(places.tolist(), states, strict=True):
                self._rows[place] = row
            self._set(places, found.values, found.times, found.since, found.until)

    def expired(self, now_us: int, limit: int) -> list[int]:
        """Places of rows whose values no longer hold, at most so many."""
        found: list[int] = np.flatnonzero(self._until[: len(self._rows)] <= now_us)[:limit].tolist()
        return found

    def renew(self, places: list[int], now_us: int) -> None:
        """Collapse the rows of these places as of now."""
        found = lasting_values(self.view, self.features, [self._rows[place] for place in places], now_us)
        with self._lock:
            self._set(np.array(places, np.int64), found.values, found.times, found.since, found.until)

    def _key(self, stored: str) -> Key:
        parts = split_key(stored)
        return parts if len(self.view.join_keys) > 1 else parts[0]

    def _claim(self, key: Key) -> int:
        """The place of a key; a new one where it has none."""
        place = self._places.get(key, 0)
        if not place:
            if self._free:
                place = self._free.pop()
            else:
                place = len(self._rows)
                self._rows.append(None)
                self._grow()
            self._places[key] = place
            self._renumber(key, place)
        return place

    def _renumber(self, key: Key, place: int) -> None:
        """Note where an entity is, for who asks by its number."""
        row = self._row_of(key)
        if 0 <= row < len(self._by_row):
            self._by_row[row] = place

    def _grow(self) -> None:
        if len(self._rows) <= len(self._until):
            return
        more = len(self._until)
        self._values = np.concatenate([self._values, np.zeros((more, self._values.shape[1]))])
        self._times = np.concatenate([self._times, np.full((more, self._times.shape[1]), NEVER, np.int64)])
        self._since = np.concatenate([self._since, np.full(more, NEVER, np.int64)])
        self._until = np.concatenate([self._until, np.full(more, FOREVER, np.int64)])

    def _set(
        self,
        places: npt.NDArray[np.int64],
        values: npt.NDArray[np.float64],
        times: npt.NDArray[np.int64],
        since: npt.NDArray[np.int64],
        until: npt.NDArray[np.int64],
    ) -> None:
        self._values[places] = values
        self._times[places] = times[:, self._timed]
        self._since[places] = since
        self._until[places] = until
