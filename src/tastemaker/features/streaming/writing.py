"""Transactions of one writer, with the rows that it keeps in memory."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from tastemaker.features.plan import FeaturePlan
from tastemaker.features.stores.protocol import (
    OnlineStore,
    StoreConflict,
    StoreTransaction,
    StoreUnavailable,
    WriterFenced,
)
from tastemaker.features.stores.tailed import as_tailed
from tastemaker.features.streaming.row_cache import RowCache
from tastemaker.features.streaming.updates import ViewUpdater

__all__ = ["Writing"]

T = TypeVar("T")
# After a conflict: 40 tries take a quarter of a minute.
_TRIES: Final = 40
_PAUSE_S: Final = 0.01
_LONGEST_PAUSE_S: Final = 0.5


class Writing:
    """What one writer needs to write.

    Args:
        store: where rows are kept; others may write to it as well.
        plan: the applied declarations.
        cache_bytes: bound on the rows that are kept in memory.
        pause: waits some seconds.

    Attributes:
        store: likewise.
        cache: rows that this writer wrote last.
        updaters: one for each view that follows the events.
    """

    def __init__(self, store: OnlineStore, plan: FeaturePlan, cache_bytes: int, pause: Callable[[float], None]) -> None:
        self.store = store
        self.pause = pause
        self.cache = RowCache(cache_bytes)
        self.updaters = [ViewUpdater(view, self.cache) for view in plan.views if view.kind != "batch"]
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator[StoreTransaction]:
        """A transaction, before which what others wrote is forgotten."""
        with self._lock, self.store.transaction() as tx:
            changed = tx.foreign_changes()
            if changed is None:
                self.forget()
            else:
                for view, keys in changed.items():
                    self.cache.drop(view, keys)
            yield tx

    def fold(self, tx: StoreTransaction, everything: bool = False) -> None:
        """Write some rows whole, or all, where the store adds to them."""
        tailed = as_tailed(tx)
        if tailed is None:
            return
        due = tailed.due(everything)
        for updater in self.updaters if due else []:
            if keys := due.get(updater.view.signature):
                updater.fold(tx, tailed, keys)

    def again(self, write: Callable[[], T]) -> T:
        """Do a transaction again while it conflicts with others.

        Raises:
            StoreUnavailable: the store is away, at once.
            StoreConflict: it conflicted again and again.
            WriterFenced: the lake stayed behind what others applied.
        """
        from tastemaker.features.bootstrap.lake_rebuild import LakeBehind

        pause_s = _PAUSE_S
        for remaining in reversed(range(_TRIES)):
            try:
                return write()
            except StoreUnavailable:
                raise
            except StoreConflict as conflict:
                if not remaining:
                    if isinstance(conflict, LakeBehind):
                        raise WriterFenced(f"{conflict}; start again") from conflict
                    raise
            self.pause(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        raise AssertionError

    def forget(self) -> None:
        """Keep nothing in memory, because the store may hold something else."""
        self.cache.clear()
        for updater in self.updaters:
            updater.forget()
