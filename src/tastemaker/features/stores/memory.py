"""The online store in a process's memory, for tests and for states that are built and thrown away."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from tastemaker.clock import wall_us
from tastemaker.errors import DataError
from tastemaker.features.stores.memory_data import MemoryData
from tastemaker.features.stores.memory_reader import MemoryReader
from tastemaker.features.stores.memory_transaction import MemoryTransaction

__all__ = ["MemoryStore", "find_memory"]

# By name, as long as a store or a reader holds one.
_open: WeakValueDictionary[str, MemoryData] = WeakValueDictionary()
_opening = threading.Lock()


def find_memory(name: str) -> MemoryReader:
    """A reader of the store of that name.

    Raises:
        DataError: nobody has one open.
    """
    data = _open.get(name)
    if data is None:
        raise DataError(f"no online store memory:{name} is open in this process; open it for writing first")
    return MemoryReader(data)


class MemoryStore:
    """An :class:`~tastemaker.features.stores.protocol.OnlineStore`; shared by all who open the name.

    Args:
        name: of the store.
        now_us: the wall clock in microseconds, by which seen event ids are forgotten.
    """

    def __init__(self, name: str, now_us: Callable[[], int] = wall_us) -> None:
        with _opening:
            data = _open.get(name)
            if data is None:
                data = _open[name] = MemoryData()
        self._data = data
        self._now_us = now_us
        self._epochs: dict[tuple[str, int], int] = {}
        self._last_rev: int | None = None

    def claim(self, topic: str, partitions: Iterable[int]) -> None:
        """As the protocol says."""
        with self._data.writing:
            for partition in partitions:
                epoch = self._data.claims.get((topic, partition), 0) + 1
                self._data.claims[topic, partition] = self._epochs[topic, partition] = epoch

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        """As the protocol says; other writers wait meanwhile, readers only while it ends."""
        with self._data.writing:
            running = MemoryTransaction(self._data, self._epochs, self._last_rev, self._now_us())
            yield running
            with self._data.reading:
                running.commit()
            self._last_rev = self._data.rev

    def reader(self) -> MemoryReader:
        """As the protocol says."""
        return MemoryReader(self._data)

    def close(self) -> None:
        """As the protocol says; the rows go when the last who has the name open lets go of it."""
        self._data = MemoryData()
