"""Which keys of a Redis store changed: a bounded stream per view."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from tastemaker.features.stores.protocol import Changes
from tastemaker.features.stores.redis_keys import RedisKeys
from tastemaker.features.stores.redis_link import RedisLink
from tastemaker.features.stores.redis_scripts import LOG

__all__ = ["LOG_ENTRIES", "LOG_KEYS", "RedisLog", "read_changes"]

LOG_ENTRIES: Final = 4000
LOG_KEYS: Final = 250  # of an entry
_MOST_KEYS: Final = LOG_ENTRIES * LOG_KEYS


class _Entry:
    """One entry: its id, the id of the one before, who wrote it, and the keys (None: more than can be listed)."""

    def __init__(self, raw: Any) -> None:
        name, fields = raw
        self.rev = int(name.split(b"-")[0])
        self.after = int(fields[b"after"])
        self.writer: bytes = fields[b"writer"]
        packed = fields[b"keys"]
        self.keys = msgspec.msgpack.decode(packed, type=list[str]) if packed else None


def _following(link: RedisLink, log: bytes, since_rev: int) -> tuple[int, list[_Entry] | None]:
    """The last revision, and the entries after one; None when some of them are gone."""
    commands: list[tuple[Any, ...]] = [("XREVRANGE", log, "+", "-", "COUNT", 1)]
    if since_rev > 0:
        commands.append(("XRANGE", log, f"({since_rev}-0", "+"))
    last, *rest = link.run(commands)
    entries = [_Entry(row) for rows in rest for row in rows]
    if entries:
        return entries[-1].rev, entries if entries[0].after == since_rev else None
    rev = _Entry(last[0]).rev if last else 0
    return rev, [] if 0 < since_rev == rev else None


def read_changes(link: RedisLink, log: bytes, since_rev: int) -> Changes:
    """As a reader's ``changes``, of one log."""
    rev, entries = _following(link, log, since_rev)
    if entries is None:
        return Changes(rev, None)
    keys: dict[str, None] = {}
    for entry in entries:
        if entry.keys is None:
            return Changes(rev, None)
        keys.update(dict.fromkeys(entry.keys))
    return Changes(rev, list(keys))


class RedisLog:
    """What one writer changes, and what others changed meanwhile.

    Keys are published after the rows are written, and stay to be published when a transaction fails in between.

    Args:
        link: to the server.
        keys: its names.
        writer: 4 bytes that no other writer has.
    """

    def __init__(self, link: RedisLink, keys: RedisKeys, writer: bytes) -> None:
        self._link = link
        self._keys = keys
        self._writer = writer
        self._unpublished: dict[str | None, dict[str, None] | None] = {}
        self._revs: dict[str, int] | None = None
        self._registered: set[str] = set()

    def note(self, view: str | None, keys: Iterable[str] | None) -> None:
        """Keys of a view (of the items: None) that are about to be written; None for more than can be listed."""
        noted = self._unpublished.setdefault(view, {})
        if keys is None:
            self._unpublished[view] = None
        elif noted is not None:
            noted.update(dict.fromkeys(keys))
            if len(noted) > _MOST_KEYS:
                self._unpublished[view] = None

    def register(self, view: str) -> None:
        """Make a view known, before its first row."""
        if view not in self._registered:
            self._link.run([("SADD", self._keys.views, view)])
            self._registered.add(view)

    def publish(self) -> None:
        """Tell readers and other writers."""
        noted = [(view, keys) for view, keys in self._unpublished.items() if keys is None or keys]
        if not noted:
            return
        results = self._link.call(LOG, [([self._log(view)], self._entries(keys)) for view, keys in noted])
        self._unpublished.clear()
        for (view, _), (before, after) in zip(noted, results, strict=True):
            # Nobody else wrote in between, so that foreign_changes need not read what this writer says.
            if self._revs is not None and view is not None and self._revs.get(view, 0) == int(before):
                self._revs[view] = int(after)

    def publish_takeover(self) -> None:
        """Make all readers read everything again: whoever wrote before may have died before it could tell."""
        for view in self._views():
            self.note(view, None)
        self.note(None, None)
        self.publish()

    def foreign_changes(self) -> dict[str, list[str]] | None:
        """As a transaction's."""
        views = self._views()
        first = self._revs is None
        revs: dict[str, int] = self._revs or {}
        last = self._link.run([("XREVRANGE", self._log(view), "+", "-", "COUNT", 1) for view in views])
        found: dict[str, list[str]] | None = None if first else {}
        for view, row in zip(views, last, strict=True):
            if not row or _Entry(row[0]).rev == revs.get(view, 0):
                continue
            if found is None:
                revs[view] = _Entry(row[0]).rev
                continue
            revs[view], entries = _following(self._link, self._log(view), revs.get(view, 0))
            foreign = None if entries is None else [entry for entry in entries if entry.writer != self._writer]
            if foreign is None or any(entry.keys is None for entry in foreign):
                found = None
            elif foreign:
                found[view] = list(dict.fromkeys(key for entry in foreign for key in entry.keys or ()))
        self._revs = revs
        return found

    def _views(self) -> list[str]:
        (views,) = self._link.run([("SMEMBERS", self._keys.views)])
        return sorted(view.decode() for view in views)

    def _log(self, view: str | None) -> bytes:
        return self._keys.items_log if view is None else self._keys.log(view)

    def _entries(self, keys: dict[str, None] | None) -> list[Any]:
        arguments: list[Any] = [LOG_ENTRIES, self._writer]
        if keys is None:
            return [*arguments, b""]
        listed = list(keys)
        pieces = range(0, len(listed), LOG_KEYS)
        return arguments + [msgspec.msgpack.encode(listed[begin : begin + LOG_KEYS]) for begin in pieces]
