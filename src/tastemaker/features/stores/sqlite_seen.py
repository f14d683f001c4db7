"""Which event ids an SQLite store has seen, and where first."""

import sqlite3
from collections.abc import Sequence

__all__ = ["SeenIds"]


class SeenIds:
    """Event ids by their 16-byte digest.

    Args:
        connection: of the writer.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def register(
        self, digests: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int], now_us: int
    ) -> list[bool]:
        """As the protocol says, within a transaction."""
        answers = []
        for digest, partition, offset in zip(digests, partitions, offsets, strict=True):
            added = self._connection.execute(
                "INSERT INTO seen VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (digest, partition, offset, now_us)
            )
            first = added.rowcount == 1
            if not first:
                place = self._connection.execute(
                    "SELECT partition, position FROM seen WHERE digest = ?", (digest,)
                ).fetchone()
                first = place == (partition, offset)
            answers.append(first)
        return answers

    def forget(self, before_us: int) -> int:
        """As the protocol says, within a transaction."""
        return self._connection.execute("DELETE FROM seen WHERE registered_us < ?", (before_us,)).rowcount

    def rolled_back(self) -> None:
        """Drop what is remembered of a transaction that did not happen."""
