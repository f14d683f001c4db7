"""The catalogue, for checking and enriching events: imported items, and then the compacted items topic.

Of an item nothing but its id, category path and price is kept, and items of one category and price share one tuple:
160 bytes an item, or 1.6 GB for ten million (200 bytes where every price is different; the ids alone take 114).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable

from tastemaker import names
from tastemaker.broker.protocol import BrokerError, Consumer, Record
from tastemaker.errors import ContractError
from tastemaker.events.item import Item, category_path, decode_item
from tastemaker.stream.enrichment import ItemFacts

__all__ = ["Catalogue"]

_LOG = logging.getLogger(__name__)
_POLL_MS = 250
_PROBE_S = 1.0
_LOST_AFTER_S = 5.0
_MOST_SHARED = 500_000  # where every item has a price of its own, sharing would cost more than it saves


class Catalogue:
    """Follows the items topic in a thread of its own; doubles as the probe of the broker.

    Args:
        connect: makes the consumer; called again after an error.
        imported: items that came into the lake without the topic, by id.
    """

    def __init__(self, connect: Callable[[], Consumer], imported: Iterable[tuple[str, ItemFacts]] = ()) -> None:
        self._connect = connect
        self._categories: dict[str, str] = {}
        self._shared: dict[ItemFacts, ItemFacts] = {}
        self._items = {item_id: self._share(facts) for item_id, facts in imported}
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
        return len(self._items)

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
        return item_id in self._items or not self.loaded

    def facts(self, item_id: str) -> ItemFacts | None:
        """Category and price of an item; None for one that is not there."""
        return self._items.get(item_id)

    def add(self, item: Item) -> None:
        """Note an item before the topic brings it."""
        self._items[item.item_id] = self._share(ItemFacts(category_path(item.category), item.price))

    def remove(self, item_id: str) -> None:
        """Forget an item before the topic brings its tombstone."""
        self._items.pop(item_id, None)

    def _share(self, facts: ItemFacts) -> ItemFacts:
        category = facts.category
        if category is not None:
            facts = ItemFacts(self._categories.setdefault(category, category), facts.price)
        if len(self._shared) < _MOST_SHARED:
            return self._shared.setdefault(facts, facts)
        return self._shared.get(facts, facts)

    def _take(self, record: Record) -> None:
        """Follow one record of the topic; one that the worker will refuse changes nothing."""
        item_id = (record.key or b"").decode(errors="replace")
        if record.value is None:
            self.remove(item_id)
            return
        try:
            item = decode_item(record.value)
        except ContractError as error:
            _LOG.warning("the item at %s[%d] offset %d: %s", record.topic, record.partition, record.offset, error)
            return
        if item.item_id == item_id:
            self.add(item)

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
                self._take(record)
                self._positions[record.partition] = record.offset + 1
            if time.monotonic() - probed >= _PROBE_S:
                consumer.end_offsets([names.TOPIC_ITEMS])
                probed = self._broker_seen = time.monotonic()
            if not self._loaded.is_set():
                idle = 0 if records else idle + 1
                # Compaction can remove the records before the end, so that no record ever says "the end".
                if all(self._positions[p] >= end[p] for p in end) or (idle >= 12 and self.broker_reachable):
                    self._loaded.set()
                    _LOG.info("the catalogue has %d items", len(self._items))
