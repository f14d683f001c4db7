"""What the stream tests share: a small feature plan, events and items, and brokers that misbehave."""

from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from tastemaker import names
from tastemaker.broker.memory import MemoryBroker, MemoryProducer
from tastemaker.broker.protocol import BrokerUnavailable, Delivered, Headers
from tastemaker.broker.topics import TOPICS
from tastemaker.clock import Clock
from tastemaker.events.contract import Event
from tastemaker.events.item import Item
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan

# Records of the memory broker carry the machine's time; so does this clock.
CLOCK = Clock()
THEN = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)


def _count(name: str, *types: str) -> FeatureSpec:
    return FeatureSpec(name=name, function="count", column=names.EVENT_ID, types=types, dtype="int64", default=0.0)


def _view(name: str, *entities: str) -> ViewPlan:
    return ViewPlan(
        name=name,
        kind="aggregate",
        entities=entities,
        join_keys=tuple(f"{entity}_id" for entity in entities),
        features=(_count("views", "view"), _count("purchases", "purchase")),
        table=names.TABLE_EVENTS,
        timestamp_field=names.OCCURRED_AT,
    )


PLAN = FeaturePlan(
    views=(_view(names.VIEW_ITEM_ACTIVITY, names.ENTITY_ITEM), _view(names.VIEW_USER_ACTIVITY, names.ENTITY_USER))
)


def event(event_id: str, **fields: Any) -> Event:
    defaults = {"type": "view", "user_id": "u1", "item_id": "mug", "occurred_at": THEN}
    return Event(event_id=event_id, **(defaults | fields))


def item(item_id: str, **fields: Any) -> Item:
    return Item(item_id=item_id, **({"title": item_id.title(), "created_at": THEN} | fields))


def broker() -> MemoryBroker:
    return MemoryBroker({name: topic.partitions for name, topic in TOPICS.items()})


class DeafProducer(MemoryProducer):
    """Takes records, and acknowledges only those of the keys in ``heard``."""

    def __init__(self, broker: MemoryBroker, heard: frozenset[bytes] = frozenset()) -> None:
        super().__init__(broker)
        self._heard = heard

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Future[Delivered]:
        return super().send(topic, key, value, headers) if key in self._heard else Future()


class AwayProducer(MemoryProducer):
    """Refuses the first ``failures`` records, because its broker is away."""

    def __init__(self, broker: MemoryBroker, failures: int) -> None:
        super().__init__(broker)
        self.failures = failures

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Future[Delivered]:
        if self.failures > 0:
            self.failures -= 1
            raise BrokerUnavailable("no broker answers")
        return super().send(topic, key, value, headers)
