"""Rows of an online store that were read ahead, all at once, for one reader's next questions."""

from collections.abc import Mapping, Sequence
from typing import Any

from tastemaker.features.stores.protocol import Row, StoreReader

__all__ = ["RowsAtHand"]


class RowsAtHand:
    """A :class:`~tastemaker.features.stores.protocol.StoreReader` that knows some answers; the store has the others.

    Args:
        store: the store.
        rows: by view and key.
        scans: by view and first id.
    """

    def __init__(
        self,
        store: StoreReader,
        rows: Mapping[tuple[str, str], Row | None],
        scans: Mapping[tuple[str, str], list[tuple[str, Row]]],
    ) -> None:
        self._store, self._rows, self._scans = store, rows, scans

    @property
    def seen(self) -> tuple[Mapping[tuple[str, str], Row | None], Mapping[tuple[str, str], list[tuple[str, Row]]]]:
        """What was read ahead; equal where nothing has been written to any of it."""
        return self._rows, self._scans

    def rows(self, view: str, keys: Sequence[str]) -> list[Row | None]:
        """As the protocol says."""
        if len(keys) == 1 and (view, keys[0]) in self._rows:
            return [self._rows[view, keys[0]]]
        return self._store.rows(view, keys)

    def scan(self, view: str, first: str) -> list[tuple[str, Row]]:
        """As the protocol says."""
        known = self._scans.get((view, first))
        return self._store.scan(view, first) if known is None else known

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
