"""The stream executor's state of one entity in an aggregate view: add events, pack, unpack."""

from array import array

from tastemaker.features.layout import BASE, HEAD, Layout
from tastemaker.features.semantics import HEAD_US, NEVER, SUM_CAP

__all__ = ["Tiles", "contributions"]


def contributions(layout: Layout) -> dict[str, tuple[tuple[int, str], ...]]:
    """For each event type, the ``(slot, operation)`` pairs that an event of that type feeds."""
    found: dict[str, list[tuple[int, str]]] = {}
    for index, slot in enumerate(layout.slots):
        for event_type in slot.types:
            found.setdefault(event_type, []).append((index, slot.op))
    return {event_type: tuple(pairs) for event_type, pairs in found.items()}


class Tiles:
    """Mergeable partial aggregates of one entity; see :mod:`tastemaker.features.layout`.

    Args:
        layout: of the view.
        packed: what :meth:`pack` gave, or empty for an entity without events.
    """

    __slots__ = ("_base", "_empty", "_groups", "_head", "_layout", "newest_us")

    def __init__(self, layout: Layout, packed: bytes = b"") -> None:
        self._layout = layout
        self._empty = [NEVER if slot.op == "last" else 0 for slot in layout.slots]
        self._base = self._empty.copy()
        self._groups: list[dict[int, list[int]]] = [{} for _ in layout.groups]
        self._head: dict[int, list[int]] = {}
        self.newest_us = NEVER
        if packed:
            self._unpack(packed)

    def _unpack(self, packed: bytes) -> None:
        numbers = memoryview(packed).cast("q").tolist()
        width = self._layout.width
        for at in range(0, len(numbers), width):
            kind, start, slots = numbers[at], numbers[at + 1], numbers[at + 2 : at + width]
            if kind == BASE:
                self._base = slots
            elif kind == HEAD:
                self._head[start] = slots
            else:
                self._groups[kind][start] = slots
        self.newest_us = max(self._head)  # the newest event is always in the head

    def add(self, at_us: int, feeds: tuple[tuple[int, str], ...], micros: int | None) -> None:
        """Add one event.

        Args:
            at_us: its time.
            feeds: what its type feeds, from :func:`contributions`.
            micros: its value in micro-units, if it has one.
        """
        if at_us > self.newest_us:
            self.newest_us = at_us
            settled = [start for start in self._head if start < at_us - HEAD_US]
            for start in settled:
                self._settle(start, self._head.pop(start))
        row = self._head.get(at_us)
        if row is None:
            row = self._empty.copy()
            late = at_us < self.newest_us - HEAD_US
            if not late:
                self._head[at_us] = row
        else:
            late = False
        for slot, op in feeds:
            if op == "count":
                row[slot] += 1
            elif op == "last":
                row[slot] = at_us
            elif micros is not None:
                row[slot] = min(row[slot] + micros, SUM_CAP)
        if late:
            self._settle(at_us, row)

    def _settle(self, at_us: int, row: list[int]) -> None:
        """Move the events of one moment out of the head."""
        layout = self._layout
        for index in layout.base_slots:
            self._base[index] = _merge(layout.slots[index].op, self._base[index], row[index])
        for group, tiles in zip(layout.groups, self._groups, strict=True):
            if not any(row[index] for index in group.slots):
                continue
            start = at_us - at_us % group.hop_us
            tile = tiles.get(start)
            if tile is None:
                tile = tiles[start] = self._empty.copy()
            for index in group.slots:
                tile[index] = _merge(layout.slots[index].op, tile[index], row[index])

    def pack(self) -> bytes:
        """The state as bytes; drops tiles that no window can reach any more."""
        rows: list[int] = []
        if self._base != self._empty:
            rows += [BASE, 0, *self._base]
        for kind, (group, tiles) in enumerate(zip(self._layout.groups, self._groups, strict=True)):
            oldest = group.oldest_start(self.newest_us)
            for start in [start for start in tiles if start < oldest]:
                del tiles[start]
            for start in sorted(tiles):
                rows += (kind, start, *tiles[start])
        for start in sorted(self._head):
            rows += (HEAD, start, *self._head[start])
        return array("q", rows).tobytes()


def _merge(op: str, left: int, right: int) -> int:
    if op == "last":
        return max(left, right)
    if op == "sum":
        return min(left + right, SUM_CAP)
    return left + right
