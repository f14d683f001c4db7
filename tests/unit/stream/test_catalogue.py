"""The set of known items follows the topic, across tombstones and broken connections."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stream_cases import broker, item

from tastemaker import names
from tastemaker.broker.memory import MemoryBroker, MemoryConsumer
from tastemaker.broker.protocol import BrokerUnavailable, Record
from tastemaker.events.item import encode_item
from tastemaker.stream.catalogue import Catalogue
from tastemaker.stream.enrichment import ItemFacts


def _send(memory: MemoryBroker, item_id: str, *, deleted: bool = False, **fields: Any) -> None:
    value = None if deleted else encode_item(item(item_id, **fields))
    memory.producer().send(names.TOPIC_ITEMS, item_id.encode(), value)


def _eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def memory() -> MemoryBroker:
    return broker()


@pytest.fixture
def catalogue(memory: MemoryBroker) -> Iterator[Catalogue]:
    made = Catalogue(memory.consumer)
    yield made
    made.stop()


def test_everything_is_known_before_loading_and_only_the_catalogue_after(memory, catalogue):
    _send(memory, "mug")
    assert catalogue.knows("teapot")
    catalogue.start()
    assert catalogue.wait_loaded(10)
    assert catalogue.knows("mug")
    assert not catalogue.knows("teapot")


def test_later_items_and_tombstones_are_followed(memory, catalogue):
    catalogue.start()
    assert catalogue.wait_loaded(10)
    _send(memory, "mug")
    _eventually(lambda: catalogue.knows("mug"))
    _send(memory, "mug", deleted=True)
    _eventually(lambda: not catalogue.knows("mug"))


def test_category_and_price_follow_the_newest_item(memory, catalogue):
    _send(memory, "mug", category=("kitchen", "mugs"), price=4.5)
    _send(memory, "tea")
    catalogue.start()
    assert catalogue.wait_loaded(10)
    assert catalogue.facts("mug") == ItemFacts("kitchen/mugs", 4.5)
    assert catalogue.facts("tea") == ItemFacts(None, None)
    assert catalogue.facts("teapot") is None
    _send(memory, "mug", category=("sale",), price=0.0)
    _eventually(lambda: catalogue.facts("mug") == ItemFacts("sale", 0.0))
    _send(memory, "mug", deleted=True)
    _eventually(lambda: catalogue.facts("mug") is None)


def test_imported_items_are_there_at_once_and_the_topic_wins(memory):
    imported = [("mug", ItemFacts("kitchen", 1.0)), ("tea", ItemFacts("food", 2.0))]
    _send(memory, "mug", category=("sale",), price=0.5)
    catalogue = Catalogue(memory.consumer, imported)
    assert catalogue.facts("mug") == ItemFacts("kitchen", 1.0)
    catalogue.start()
    try:
        assert catalogue.wait_loaded(10)
        assert catalogue.facts("mug") == ItemFacts("sale", 0.5)
        assert catalogue.facts("tea") == ItemFacts("food", 2.0)
        assert len(catalogue) == 2
    finally:
        catalogue.stop()


def test_items_of_equal_category_and_price_share_their_memory(memory):
    catalogue = Catalogue(memory.consumer)
    for item_id in ("a", "b"):
        catalogue.add(item(item_id, category=("kitchen", "mugs"), price=4.5))
    assert catalogue.facts("a") is catalogue.facts("b")


@pytest.mark.parametrize("value", [b"{", encode_item(item("teapot")), b'{"item_id": "mug"}'])
def test_record_that_the_worker_will_refuse_changes_nothing(memory, catalogue, value):
    _send(memory, "mug", price=1.0)
    memory.producer().send(names.TOPIC_ITEMS, b"mug", value)
    memory.producer().send(names.TOPIC_ITEMS, b"new", value)
    catalogue.start()
    assert catalogue.wait_loaded(10)
    assert catalogue.facts("mug") == ItemFacts(None, 1.0)
    assert not catalogue.knows("new")
    assert not catalogue.knows("teapot")


class _Breaking(MemoryConsumer):
    broken = False

    def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
        if self.broken:
            self.broken = False
            raise BrokerUnavailable("connection lost")
        return super().poll(timeout_ms, max_records)


def test_lost_connection_is_taken_up_where_it_broke(memory):
    made: list[_Breaking] = []

    def connect() -> _Breaking:
        made.append(_Breaking(memory))
        return made[-1]

    catalogue = Catalogue(connect)
    catalogue.start()
    try:
        assert catalogue.wait_loaded(10)
        _send(memory, "mug")
        _eventually(lambda: catalogue.knows("mug"))
        made[0].broken = True
        _eventually(lambda: len(made) == 2)
        _send(memory, "tea")
        _eventually(lambda: catalogue.knows("tea"))
        assert catalogue.knows("mug")
    finally:
        catalogue.stop()
