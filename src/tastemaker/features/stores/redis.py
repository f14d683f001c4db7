"""The online store on a Redis or Valkey server or cluster: for several machines.

The server must keep what it has said it has: ``appendonly yes``. With ``appendfsync everysec`` one server that loses
its power forgets the last second of rows and of positions alike, and the worker reads that second again. Nodes of a
cluster forget each for itself: run a cluster with ``appendfsync always``, or rebuild from the lake after such a loss.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tastemaker.clock import wall_us
from tastemaker.features.stores.redis_keys import RedisKeys
from tastemaker.features.stores.redis_link import RedisLink
from tastemaker.features.stores.redis_log import RedisLog
from tastemaker.features.stores.redis_reader import RedisReader
from tastemaker.features.stores.redis_scripts import CLAIM
from tastemaker.features.stores.redis_transaction import RedisTransaction

__all__ = ["RedisStore"]


class RedisStore:
    """An :class:`~tastemaker.features.stores.protocol.OnlineStore`; writers work side by side.

    Args:
        url: as of :func:`~tastemaker.features.stores.opening.open_online_store`.
        now_us: the wall clock in microseconds, by which seen event ids are forgotten.

    Raises:
        DataError: the address cannot be read.
        StoreUnavailable: the server cannot be reached.
    """

    def __init__(self, url: str, now_us: Callable[[], int] = wall_us) -> None:
        self._url = url
        self._now_us = now_us
        self._link = RedisLink(url)
        self._keys = RedisKeys(self._link.prefix)
        self._writer = os.urandom(4)
        self._log = RedisLog(self._link, self._keys, self._writer)
        self._lock = threading.Lock()
        self._epochs: dict[tuple[str, int], int] = {}
        self._transactions = 0

    def claim(self, topic: str, partitions: Iterable[int]) -> None:
        """As the protocol says."""
        wanted = list(partitions)
        if not wanted:
            return
        with self._lock:
            (epochs,) = self._link.call(CLAIM, [([self._keys.topic(topic)], wanted)])
            self._epochs |= {(topic, partition): epoch for partition, epoch in zip(wanted, epochs, strict=True)}
            self._log.publish_takeover()

    @contextmanager
    def transaction(self) -> Iterator[RedisTransaction]:
        """As the protocol says."""
        with self._lock:
            self._transactions += 1
            version = self._writer + (self._transactions % (1 << 32)).to_bytes(4, "big")
            running = RedisTransaction(self._link, self._keys, self._log, self._epochs, version, self._now_us())
            yield running
            running.commit()

    def reader(self) -> RedisReader:
        """As the protocol says."""
        return RedisReader(self._url)

    def close(self) -> None:
        """As the protocol says."""
        self._link.close()
