"""What a store in memory holds."""

import threading
from typing import Final, NamedTuple

from tastemaker.features.stores.protocol import Row, StoredItem

__all__ = ["LOG_KEYS", "MemoryData", "Seen"]

LOG_KEYS: Final = 250_000


class Seen(NamedTuple):
    """Where an event id was first seen, and when that was noted."""

    partition: int
    offset: int
    registered_us: int


class MemoryData:
    """The tables of one store, with a lock that writers take for a transaction and one that a read takes."""

    def __init__(self) -> None:
        self.writing = threading.Lock()
        self.reading = threading.Lock()
        self.rows: dict[str, dict[str, Row]] = {}
        self.items: dict[str, StoredItem] = {}
        self.labels: dict[int, str] = {}
        self.meta: dict[str, str] = {}
        self.positions: dict[tuple[str, int], int] = {}
        self.claims: dict[tuple[str, int], int] = {}
        self.seen: dict[bytes, Seen] = {}
        self.corrections: dict[bytes, int] = {}
        self.rev = 0
        # By view (None: items), the revision at which each key changed last, oldest first; and since when that is all.
        self.changed: dict[str | None, dict[str, int]] = {}
        self.log_from: dict[str | None, int] = {}

    def note(self, view: str | None, keys: list[str] | None) -> None:
        """Log changed keys of a view, or of the items, at the current revision; None for more than can be listed."""
        log = self.changed.setdefault(view, {})
        if keys is None:
            log.clear()
            self.log_from[view] = self.rev
            return
        for key in keys:
            log.pop(key, None)
            log[key] = self.rev
        while len(log) > LOG_KEYS:
            oldest = next(iter(log))
            self.log_from[view] = log.pop(oldest)

    def changed_since(self, view: str | None, since_rev: int) -> list[str] | None:
        """Keys that changed after a revision; None when that is no longer known."""
        if since_rev <= 0 or since_rev < self.log_from.get(view, 0):
            return None
        return [key for key, rev in self.changed.get(view, {}).items() if rev > since_rev]
