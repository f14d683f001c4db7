"""The rows of one view in this process, as one matrix."""

import threading
from collections.abc import Mapping, Sequence
from sys import getsizeof

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
            values = self._values.take(places, axis=0)
            times = self._times.take(places, axis=0)
            stale = np.flatnonzero((self._since.take(places) > now_us) | (self._until.take(places) <= now_us))
            rows = [self._rows[place] for place in places[stale].tolist()]
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
        return place

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
