"""The in-process broker: the same contract without a process, for tests and for trying things out."""

import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

from tastemaker.broker.memory_group import MemoryGroup
from tastemaker.broker.protocol import (
    BrokerError,
    Delivered,
    GroupListener,
    Headers,
    Positions,
    Record,
    RecordTooLarge,
    UnknownTopic,
)

__all__ = ["MemoryBroker", "MemoryConsumer", "MemoryProducer"]

_MAX_RECORD_BYTES = 1024 * 1024


class MemoryBroker:
    """Topics as lists in memory, shared by the producers and consumers that it makes.

    Args:
        topics: number of partitions by topic name.
    """

    def __init__(self, topics: dict[str, int] | None = None) -> None:
        self.changed = threading.Condition()
        self._logs: dict[str, list[list[Record]]] = {}
        self._unkeyed: dict[str, int] = defaultdict(int)
        self._groups: dict[str, MemoryGroup] = defaultdict(MemoryGroup)
        for topic, partitions in (topics or {}).items():
            self.create_topic(topic, partitions)

    def create_topic(self, topic: str, partitions: int) -> None:
        """Add a topic; one that exists stays as it is."""
        self._logs.setdefault(topic, [[] for _ in range(partitions)])

    def logs(self, topic: str) -> list[list[Record]]:
        """The records of a topic by partition.

        Raises:
            UnknownTopic: there is no such topic.
        """
        try:
            return self._logs[topic]
        except KeyError:
            raise UnknownTopic(f"no topic is called {topic!r}") from None

    def append(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Delivered:
        """Store one record and wake the consumers that wait."""
        logs = self.logs(topic)
        with self.changed:
            if key is None:
                self._unkeyed[topic] += 1
            partition = (zlib.crc32(key) if key is not None else self._unkeyed[topic]) % len(logs)
            offset = len(logs[partition])
            now_ms = time.time_ns() // 1_000_000
            logs[partition].append(Record(topic, partition, offset, key, value, now_ms, headers))
            self.changed.notify_all()
        return Delivered(topic, partition, offset)

    def producer(self) -> "MemoryProducer":
        """A producer to this broker."""
        return MemoryProducer(self)

    def consumer(self, group: str = "") -> "MemoryConsumer":
        """A consumer of this broker, member of a group when that has a name."""
        return MemoryConsumer(self, group)

    def group(self, name: str) -> MemoryGroup:
        """A consumer group; one without a name has a single member."""
        return self._groups[name] if name else MemoryGroup()


class MemoryProducer:
    """See :class:`tastemaker.broker.protocol.Producer`; every record is acknowledged at once."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Future[Delivered]:
        """Store one record."""
        if key is None and value is None:
            raise ValueError("a record needs a key or a value")
        if len(key or b"") + len(value or b"") > _MAX_RECORD_BYTES:
            raise RecordTooLarge(f"a record for {topic} exceeds {_MAX_RECORD_BYTES} bytes")
        delivery: Future[Delivered] = Future()
        delivery.set_result(self._broker.append(topic, key, value, headers))
        return delivery

    def flush(self, timeout: float) -> None:
        """Nothing waits."""

    def close(self, timeout: float = 5.0) -> None:
        """Nothing to release."""


class MemoryConsumer:
    """See :class:`tastemaker.broker.protocol.Consumer`."""

    def __init__(self, broker: MemoryBroker, group: str = "") -> None:
        self._broker = broker
        self._group = broker.group(group)
        self._listener: GroupListener | None = None
        self._generation = -1  # of the group, in which the partitions were assigned
        self._positions: dict[tuple[str, int], int] = {}

    def partitions(self, topic: str) -> Sequence[int]:
        """The partition numbers of a topic."""
        return range(len(self._broker.logs(topic)))

    def assign(self, positions: Positions) -> None:
        """Read from these positions on."""
        for topic, by_partition in positions.items():
            logs = self._broker.logs(topic)
            for partition, offset in by_partition.items():
                if partition >= len(logs):
                    raise UnknownTopic(f"topic {topic!r} has no partition {partition}")
                if offset > len(logs[partition]):
                    raise BrokerError(f"position {offset} lies beyond the end of {topic}[{partition}]")
        self._positions = {(topic, p): at for topic, by in positions.items() for p, at in by.items()}

    def subscribe(self, topics: Sequence[str], listener: GroupListener) -> None:
        """Share the partitions with the group."""
        self._listener = listener
        self._group.join(self, [(topic, partition) for topic in topics for partition in self.partitions(topic)])

    def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
        """Records that follow."""
        deadline = time.monotonic() + timeout_ms / 1000
        if self._listener is not None:
            self._rebalance(self._listener, deadline)
        with self._broker.changed:
            while not (taken := self._take(max_records)):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._broker.changed.wait(left)
        return taken

    def beginning_offsets(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """Zero everywhere: nothing is ever dropped."""
        return {topic: dict.fromkeys(self.partitions(topic), 0) for topic in topics}

    def end_offsets(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """Offset that the next record of each partition will get."""
        return {topic: {p: len(log) for p, log in enumerate(self._broker.logs(topic))} for topic in topics}

    def close(self) -> None:
        """Leave the group."""
        if self._listener is not None:
            self._give_up(self._listener, lost=not self._group.has(self))
            self._group.leave(self)
            self._listener = None

    def _rebalance(self, listener: GroupListener, deadline: float) -> None:
        if self._generation == self._group.generation and self._group.has(self):
            return
        lost = not self._group.has(self)
        self._give_up(listener, lost)
        if lost:
            self._group.rejoin(self)
        generation = self._group.assignment(self, deadline)
        if generation is None:  # others have not given up theirs yet
            return
        self._generation, partitions = generation
        by_topic: dict[str, list[int]] = defaultdict(list)
        for topic, partition in partitions:
            by_topic[topic].append(partition)
        self.assign(listener.assigned(by_topic))

    def _give_up(self, listener: GroupListener, lost: bool) -> None:
        if self._generation >= 0:
            self._positions, self._generation = {}, -1
            listener.revoked(lost)

    def _take(self, max_records: int) -> list[Record]:
        taken: list[Record] = []
        for (topic, partition), start in self._positions.items():
            found = self._broker.logs(topic)[partition][start : start + max_records - len(taken)]
            self._positions[topic, partition] = start + len(found)
            taken += found
        return taken
