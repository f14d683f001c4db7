"""Packed rows that a writer keeps, so that it need not read what it wrote itself."""

from collections.abc import Collection, Sequence
from typing import Final

__all__ = ["RowCache"]

# What a kept row costs beside its own bytes: the objects of key and state, and its place in a dictionary.
_OVERHEAD: Final = 200


class RowCache:
    """The rows used last, of about so many bytes.

    Two generations instead of an order of use, because what is used in every batch must not cost an operation per row:
    rows that are written go to the young generation; when that is half of the budget, it becomes the old one, and
    the old one is dropped.

    Args:
        max_bytes: bound on the rows of all views together; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._half = max_bytes // 2
        self._young: dict[str, dict[str, bytes]] = {}
        self._old: dict[str, dict[str, bytes]] = {}
        self._young_bytes = 0

    @property
    def size(self) -> int:
        """How many bytes the rows take, about."""
        return sum(
            len(state) + len(key) + _OVERHEAD
            for generation in (self._young, self._old)
            for rows in generation.values()
            for key, state in rows.items()
        )

    def get(self, view: str, keys: Sequence[str]) -> list[bytes | None]:
        """The packed states of some rows, in order; None where it is not here."""
        young, old = self._young.get(view, {}), self._old.get(view, {})
        found = list(map(young.get, keys))
        if old and None in found:
            found = [old.get(key) if state is None else state for key, state in zip(keys, found, strict=True)]
        return found

    def put(self, view: str, keys: Sequence[str], states: Sequence[bytes]) -> None:
        """Keep rows that were written and committed; keys do not repeat."""
        if not keys:
            return
        each = _OVERHEAD + len(keys[0])  # about: the keys of a view are alike
        size = sum(map(len, states))
        if size + each * len(keys) > self._half:
            self.drop(view, keys)
            return
        if self._young_bytes + size + each * len(keys) > self._half:
            self._old, self._young, self._young_bytes = self._young, {}, 0
        young = self._young.setdefault(view, {})
        before, replaced = len(young), sum(map(len, filter(None, map(young.get, keys))))
        young.update(zip(keys, states, strict=True))
        self._young_bytes += size - replaced + each * (len(young) - before)

    def drop(self, view: str, keys: Collection[str]) -> None:
        """Forget rows, because others wrote them."""
        young, old = self._young.get(view, {}), self._old.get(view, {})
        for key in keys if young or old else ():
            old.pop(key, None)
            state = young.pop(key, None)
            if state is not None:
                self._young_bytes -= len(state) + _OVERHEAD + len(key)

    def clear(self) -> None:
        """Forget everything."""
        self._young, self._old, self._young_bytes = {}, {}, 0
