"""The ids of the catalogue, for checking what events refer to: imported items, and then the compacted items topic."""

import logging
import threading
import time
from collections.abc import Callable, Iterable

from tastemaker import names
from tastemaker.broker.protocol import BrokerError, Consumer

__all__ = ["Catalogue"]

_LOG = logging.getLogger(__name__)
_POLL_MS = 250
_PROBE_S = 1.0
_LOST_AFTER_S = 5.0


class Catalogue:
    """Follows the items topic in a thread of its own; doubles as the probe of the broker.

    Args:
        connect: makes the consumer; called again after an error.
        imported: ids of items that came into the lake without the topic.
    """

    def __init__(self, connect: Callable[[], Consumer], imported: Iterable[str] = ()) -> None:
        self._connect = connect
        self._ids = set(imported)
        self._positions: dict[int, int] = {}
        self._loaded = threading.Event()
        self._stopping = threading.Event()
        self._broker_seen = float("-inf")
        self._thread = threading.Thread(target=self._run, name="catalogue", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def loaded(self) -> bool:
        """Whether everything that the topic held at the start was read."""
        return self._loaded.is_set()

    def wait_loaded(self, timeout_s: float) -> bool:
        """Wait for :attr:`loaded`, at most ``timeout_s`` seconds; returns it."""
        return self._loaded.wait(timeout_s)

    @property
    def broker_reachable(self) -> bool:
        """Whether the broker answered within the last seconds."""
        return time.monotonic() - self._broker_seen < _LOST_AFTER_S

    def knows(self, item_id: str) -> bool:
        """Whether the catalogue has the item; while it is not loaded, nothing can be called unknown."""
        return item_id in self._ids or not self.loaded

    def add(self, item_id: str) -> None:
        """Note an item before the topic brings it."""
        self._ids.add(item_id)

    def remove(self, item_id: str) -> None:
        """Forget an item before the topic brings its tombstone."""
        self._ids.discard(item_id)

    def _run(self) -> None:
        away = False
        while not self._stopping.is_set():
            consumer = None
            try:
                consumer = self._connect()
                if away:
                    _LOG.info("the broker is back")
                away = False
                self._follow(consumer)
            except BrokerError as error:
                if not away:
                    _LOG.warning("the catalogue is not kept up to date until the broker is back: %s", error)
                away = True
                self._stopping.wait(1.0)
            finally:
                if consumer is not None:
                    consumer.close()

    def _follow(self, consumer: Consumer) -> None:
        first = consumer.beginning_offsets([names.TOPIC_ITEMS])[names.TOPIC_ITEMS]
        end = consumer.end_offsets([names.TOPIC_ITEMS])[names.TOPIC_ITEMS]
        self._positions = {p: min(max(self._positions.get(p, 0), first[p]), end[p]) for p in first}
        consumer.assign({names.TOPIC_ITEMS: self._positions})
        probed = self._broker_seen = time.monotonic()
        idle = 0
        while not self._stopping.is_set():
            records = consumer.poll(_POLL_MS, 5000)
            for record in records:
                item_id = (record.key or b"").decode(errors="replace")
                if record.value is None:
                    self._ids.discard(item_id)
                else:
                    self._ids.add(item_id)
                self._positions[record.partition] = record.offset + 1
            if time.monotonic() - probed >= _PROBE_S:
                consumer.end_offsets([names.TOPIC_ITEMS])
                probed = self._broker_seen = time.monotonic()
            if not self._loaded.is_set():
                idle = 0 if records else idle + 1
                # Compaction can remove the records before the end, so that no record ever says "the end".
                if all(self._positions[p] >= end[p] for p in end) or (idle >= 12 and self.broker_reachable):
                    self._loaded.set()
                    _LOG.info("the catalogue has %d items", len(self._ids))
