"""Which event ids an SQLite store has seen, and where first.

Event ids are random, so that a table by id would write a page of 4 KB per event. Instead a transaction appends its
ids as one row (a run). When there are enough of them they are sorted into a bucket that is never changed again, and
dropped as a whole when it is old. The writer keeps the ids of the runs, and a filter per bucket, in memory.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

import numpy as np

from tastemaker.features.stores.sqlite_seen_filter import SeenFilters, make_filter

__all__ = ["BUCKET_IDS", "SeenIds"]

BUCKET_IDS: Final = 1 << 16  # that make a bucket
_PIECE: Final = 1 << 14
_CHUNKS: Final = 512  # of a bucket, by the first 9 bits of the digest
_DIGEST: Final = 16
_PLACE: Final = np.dtype([("partition", "<i4"), ("offset", "<i8")])
_PLACE_BYTES: Final = _PLACE.itemsize


class SeenIds:
    """Event ids by their 16-byte digest.

    Args:
        connection: of the writer.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._recent: dict[bytes, bytes] = {}  # digest to place
        self._filters = SeenFilters()
        self._last_run = 0
        self._version = -1

    def register(
        self, digests: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int], now_us: int
    ) -> list[bool]:
        """As a transaction's, within one."""
        if not digests:
            return []
        self._load()
        answers: list[bool] = []
        for begin in range(0, len(digests), _PIECE):
            piece = slice(begin, begin + _PIECE)
            places = np.empty(len(digests[piece]), _PLACE)
            places["partition"], places["offset"] = partitions[piece], offsets[piece]
            answers += self._register(digests[piece], _split(places.tobytes(), _PLACE_BYTES), now_us)
        return answers

    def _register(self, digests: Sequence[bytes], places: list[bytes], now_us: int) -> list[bool]:
        old = self._find_sealed(digests)
        recent = self._recent
        fresh: dict[bytes, bytes]
        if not old and not any(map(recent.__contains__, digests)) and len(set(digests)) == len(digests):
            fresh = dict(zip(digests, places, strict=True))
            answers = [True] * len(digests)
        else:
            fresh, answers = {}, []
            for digest, place in zip(digests, places, strict=True):
                first = old.get(digest, recent.get(digest, fresh.get(digest)))
                if first is None:
                    fresh[digest] = first = place
                answers.append(first == place)
        recent.update(fresh)
        if len(recent) >= BUCKET_IDS:
            self._seal(now_us)
        elif fresh:
            added = self._connection.execute(
                "INSERT INTO seen_runs(registered_us, count, digests, places) VALUES (?, ?, ?, ?)",
                (now_us, len(fresh), b"".join(fresh), b"".join(fresh.values())),
            )
            self._last_run = added.lastrowid or 0
        return answers

    def forget(self, before_us: int) -> int:
        """As a transaction's, within one; a bucket goes when all of its ids are older."""
        self._load()
        old = self._connection.execute(
            "SELECT bucket, count FROM seen_buckets WHERE newest_us < ?", (before_us,)
        ).fetchall()
        for bucket, _ in old:
            self._connection.execute(
                "DELETE FROM seen_chunks WHERE id >= ? AND id < ?", (bucket * _CHUNKS, (bucket + 1) * _CHUNKS)
            )
            self._connection.execute("DELETE FROM seen_buckets WHERE bucket = ?", (bucket,))
        runs = self._connection.execute(
            "DELETE FROM seen_runs WHERE registered_us < ? RETURNING count", (before_us,)
        ).fetchall()
        self.reload()
        return sum(int(count) for _, count in old) + sum(int(count) for (count,) in runs)

    def reload(self) -> None:
        """Forget what is kept in memory, because the file may hold something else: a transaction was rolled back."""
        self._recent.clear()
        self._last_run = 0
        self._filters.keep(())
        self._version = -1

    def _load(self) -> None:
        """Take over what other writers did since."""
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return
        self._version = version
        buckets = [bucket for (bucket,) in self._connection.execute("SELECT bucket FROM seen_buckets").fetchall()]
        known = self._filters.buckets
        if buckets != known:  # runs have become buckets, or buckets were forgotten
            self._recent.clear()
            self._last_run = 0
            self._filters.keep(buckets)
        for bucket in buckets:
            if bucket not in known:
                select = "SELECT filter FROM seen_buckets WHERE bucket = ?"
                self._filters.add(bucket, self._connection.execute(select, (bucket,)).fetchone()[0])
        runs = self._connection.execute(
            "SELECT run, digests, places FROM seen_runs WHERE run > ? ORDER BY run", (self._last_run,)
        )
        for run, digests, places in runs:
            self._recent.update(zip(_split(digests, _DIGEST), _split(places, _PLACE_BYTES), strict=True))
            self._last_run = run

    def _find_sealed(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        found = {}
        for number, bucket in self._filters.candidates(b"".join(digests)):
            digest = digests[number]
            chunk = self._connection.execute(
                "SELECT digests, places FROM seen_chunks WHERE id = ?", (bucket * _CHUNKS + _chunk(digest),)
            ).fetchone()
            at = -1 if chunk is None else _place_of(chunk[0], digest)
            if at >= 0:
                found[digest] = chunk[1][at * _PLACE_BYTES : (at + 1) * _PLACE_BYTES]
        return found

    def _seal(self, now_us: int) -> None:
        """Move all runs, and what was not written as one, into a bucket."""
        digests = b"".join(self._recent)
        packed_filter = make_filter(digests)
        bucket = self._connection.execute(
            "INSERT INTO seen_buckets(newest_us, count, filter) VALUES (?, ?, ?)",
            (now_us, len(self._recent), packed_filter),
        ).lastrowid
        first_bytes = np.frombuffer(digests, np.uint8).reshape(-1, _DIGEST)[:, :2].astype(np.int64)
        chunks = first_bytes[:, 0] << 1 | first_bytes[:, 1] >> 7
        order = np.argsort(chunks, kind="stable")
        sorted_digests = np.frombuffer(digests, f"V{_DIGEST}")[order]
        places = np.frombuffer(b"".join(self._recent.values()), f"V{_PLACE_BYTES}")[order]
        present, starts = np.unique(chunks[order], return_index=True)
        ends = [*starts[1:].tolist(), len(order)]
        self._connection.executemany(
            "INSERT INTO seen_chunks VALUES (?, ?, ?)",
            [
                ((bucket or 0) * _CHUNKS + chunk, sorted_digests[begin:end].tobytes(), places[begin:end].tobytes())
                for chunk, begin, end in zip(present.tolist(), starts.tolist(), ends, strict=True)
            ],
        )
        self._connection.execute("DELETE FROM seen_runs")
        self._filters.add(bucket or 0, packed_filter)
        self._recent.clear()
        self._last_run = 0  # numbers of runs are never used again


def _chunk(digest: bytes) -> int:
    return digest[0] << 1 | digest[1] >> 7


def _place_of(digests: bytes, wanted: bytes) -> int:
    """The number of a digest among others, or -1."""
    at = digests.find(wanted)
    while at >= 0 and at % _DIGEST:
        at = digests.find(wanted, at + 1)
    return at // _DIGEST if at >= 0 else -1


def _split(joined: bytes, size: int) -> list[bytes]:
    return [joined[at : at + size] for at in range(0, len(joined), size)]
