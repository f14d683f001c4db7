"""The tails of an SQLite store's rows: what was added to them since they were written whole.

A row of some kilobytes that is written for each event costs a page or two each time, and a commit is paid by the page.
So what a transaction adds to rows is appended as one row of a log per view. Whoever reads or writes follows that log
and keeps the tails in memory, by key; the log also says which tails are gone, because their rows were written whole, or
deleted. It is cut off where no tail begins before. Its newest row stays, so that numbers are never used again.
"""

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from tastemaker.features.keys import first_of

__all__ = ["Tail", "TailLog", "Tails", "ViewTails", "tail_times", "with_tails"]

_VIEW_BITS: Final = 40  # of a row's number: the view's number, then a number that grows by one
_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(list[str]).decode


class Tail(NamedTuple):
    """The tail of a row: the time of its newest event, and packed states, one after the other."""

    event_us: int
    state: bytes


class _Own:
    """A tail that grows, and the number of the log's row in which it begins."""

    __slots__ = ("event_us", "since", "state")

    def __init__(self, event_us: int, state: bytes, since: int) -> None:
        self.event_us = event_us
        self.state: bytes | bytearray = state
        self.since = since


class ViewTails:
    """The tails of one view, as of a row of the log.

    Attributes:
        seq: number of that row.
        nbytes: of all tails.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.clear()

    def clear(self) -> None:
        """Forget all tails, not the place in the log."""
        self.nbytes = 0
        self._rows: dict[str, _Own] = {}
        self._of_first: dict[str, dict[str, None]] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    @property
    def keys(self) -> Iterable[str]:
        """Of all rows with tails."""
        return self._rows.keys()

    @property
    def oldest(self) -> int:
        """Number of the first row of the log that is still needed."""
        return min((own.since for own in self._rows.values()), default=self.seq)

    def find(self, keys: Iterable[str]) -> list[Tail | None]:
        """The tails of some rows."""
        return list(map(self.get, keys))

    def get(self, key: str) -> Tail | None:
        """The tail of a row."""
        own = self._rows.get(key)
        return None if own is None else Tail(own.event_us, bytes(own.state))

    def by_key(self, keys: Sequence[str]) -> dict[str, Tail]:
        """The tails of rows that have some, by key."""
        return {key: Tail(own.event_us, bytes(own.state)) for key in keys for own in (self._rows[key],)}

    def scan(self, first: str) -> list[str]:
        """The keys of several ids that begin with this one, as it is in keys."""
        if self._of_first is None:
            self._of_first = {}
            self._note(self._rows)
        return [key for key in self._of_first.get(first, ()) if key != first]

    def add(self, keys: Sequence[str], event_us: Sequence[int], tails: Sequence[bytes]) -> None:
        """What the next row of the log adds."""
        self.seq += 1
        seq, rows, get = self.seq, self._rows, self._rows.get
        for key, at_us, tail in zip(keys, event_us, tails, strict=True):
            own = get(key)
            if own is None:
                rows[key] = _Own(at_us, tail, seq)
                continue
            if type(own.state) is bytes:
                own.state = bytearray(own.state)
            own.state += tail
            own.event_us = max(own.event_us, at_us)
        self.nbytes += sum(map(len, tails))
        if self._of_first is not None:
            self._note(keys)

    def drop(self, keys: Iterable[str] | None) -> None:
        """What the next row of the log says is gone; None for all."""
        self.seq += 1
        if keys is None:
            self.clear()
            return
        for key in keys:
            own = self._rows.pop(key, None)
            if own is None:
                continue
            self.nbytes -= len(own.state)
            if self._of_first is not None and (beside := self._of_first.get(first_of(key))) is not None:
                beside.pop(key, None)
                if not beside:
                    del self._of_first[first_of(key)]

    def _note(self, keys: Iterable[str]) -> None:
        assert self._of_first is not None
        for key in keys:
            self._of_first.setdefault(first_of(key), {})[key] = None


class Tails:
    """The tails of a store's views, for the threads of one process; each view is followed from when it is asked for.

    Attributes:
        lock: to be held while a view's tails are brought up to date and taken from: what is read of the store next, in
            the same snapshot, is then as of the same moment.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.views: dict[int, ViewTails] = {}

    def follow(self, connection: sqlite3.Connection, view: int) -> ViewTails:
        """The tails of a view as of the running snapshot or transaction, or of the one that begins here."""
        own = self.views.get(view)
        if own is None:
            own = self.views[view] = ViewTails()
        begin = view << _VIEW_BITS
        rows = connection.execute(
            "SELECT id, keys, event_us, ends, tails FROM tails WHERE id > ? AND id < ? ORDER BY id",
            (begin + own.seq, begin + (1 << _VIEW_BITS)),
        )
        for number, keys, event_us, ends, tails in rows:
            if number - begin != own.seq + 1:
                # Cut off meanwhile, because no tail begins there any more: what is left is all there is.
                own.clear()
                own.seq = number - begin - 1
            if tails is None:
                own.drop(None if keys is None else _decode(keys))
            else:
                own.add(_decode(keys), np.frombuffer(event_us, "<i8").tolist(), _pieces(tails, ends))
        return own

    def tail(self, view: int | None, key: str) -> Tail | None:
        """The tail of one row, of a view that was followed."""
        return None if view is None else self.views[view].get(key)

    def of_first(self, view: int | None, first: str) -> dict[str, Tail]:
        """The tails of rows of several ids that begin with this one, as it is in keys, of a view that was followed."""
        own = None if view is None else self.views[view]
        return own.by_key(own.scan(first)) if own else {}

    def forget(self) -> None:
        """Follow the log from its beginning again, because a transaction was rolled back."""
        self.views.clear()


class TailLog:
    """What a transaction does to tails.

    Args:
        connection: of the writer, within the transaction.
        tails: of the writer.

    Attributes:
        added: bytes of tails, so far.
    """

    def __init__(self, connection: sqlite3.Connection, tails: Tails) -> None:
        self._connection = connection
        self._tails = tails
        self._followed: set[int] = set()
        self.added = 0

    @property
    def views(self) -> dict[int, ViewTails]:
        """The tails of the views that the writer deals with."""
        return self._tails.views

    def of(self, view: int) -> ViewTails:
        """The tails of a view."""
        if view not in self._followed:  # once, because nobody else writes during the transaction
            self._followed.add(view)
            self._tails.follow(self._connection, view)
        return self._tails.views[view]

    def append(self, view: int, keys: Sequence[str], event_us: Sequence[int], tails: Sequence[bytes]) -> None:
        """Add to rows."""
        content = b"".join(tails)
        ends = np.cumsum(np.fromiter(map(len, tails), np.int64, len(tails))).astype("<i8").tobytes()
        self._write(view, _encode(keys), np.array(event_us, "<i8").tobytes(), ends, content)
        self._tails.views[view].add(keys, event_us, tails)
        self.added += len(content)

    def drop(self, view: int, keys: Sequence[str]) -> None:
        """The rows of these keys are written whole, or deleted."""
        own = self.of(view)
        gone = [key for key in keys if key in own] if len(own) else []
        if gone:
            self._write(view, _encode(gone))
            self._tails.views[view].drop(gone)

    def drop_all(self, view: int) -> None:
        """All rows are deleted."""
        if len(self.of(view)):
            self._write(view, None)
            self._tails.views[view].drop(None)
            self.cut_off(view)

    def cut_off(self, view: int) -> None:
        """Delete what nobody needs of a view's log."""
        begin = view << _VIEW_BITS
        self._connection.execute("DELETE FROM tails WHERE id > ? AND id < ?", (begin, begin + self.of(view).oldest))

    def _write(self, view: int, *columns: Any) -> None:
        number = (view << _VIEW_BITS) + self.of(view).seq + 1
        self._connection.execute(
            "INSERT INTO tails(id, keys, event_us, ends, tails) VALUES (?, ?, ?, ?, ?)",
            (number, *columns, *[None] * (4 - len(columns))),
        )


def tail_times(connection: sqlite3.Connection, view: int) -> dict[str, int]:
    """The time of the newest event in each tail of a view, by key, for those who need no more and keep nothing."""
    begin = view << _VIEW_BITS
    found: dict[str, int] = {}
    for keys, event_us in connection.execute(
        "SELECT keys, event_us FROM tails WHERE id > ? AND id < ? ORDER BY id", (begin, begin + (1 << _VIEW_BITS))
    ):
        if keys is None:
            found.clear()
        elif event_us is None:
            for key in _decode(keys):
                found.pop(key, None)
        else:
            for key, at_us in zip(_decode(keys), np.frombuffer(event_us, "<i8").tolist(), strict=True):
                found[key] = max(at_us, found.get(key, at_us))
    return found


def with_tails(rows: Sequence[tuple[Any, Any]], tails: Iterable[Tail | None]) -> list[tuple[Any, Any]]:
    """Event time and state of some rows, both None where there is none, with their tails."""
    return [
        row if tail is None else (tail[0], tail[1]) if row[1] is None else (max(row[0], tail[0]), row[1] + tail[1])
        for row, tail in zip(rows, tails, strict=True)
    ]


def _pieces(content: bytes, ends: bytes) -> list[bytes]:
    stops = np.frombuffer(ends, "<i8").tolist()
    return [content[begin:end] for begin, end in zip([0, *stops], stops, strict=False)]
