"""Kafka through kafka-python: an idempotent producer and a consumer without a group.

Checksums are fast only with ``crc32c`` installed beside kafka-python; the ``stream`` extra brings it.
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from kafka import KafkaConsumer as ClientConsumer
from kafka import KafkaProducer as ClientProducer
from kafka import TopicPartition, errors

from tastemaker.broker.connection import client_config, topic_exists, translated, unreachable
from tastemaker.broker.protocol import (
    BrokerError,
    BrokerUnavailable,
    BufferFull,
    Delivered,
    Headers,
    Positions,
    Record,
    UnknownTopic,
)
from tastemaker.settings import Settings

__all__ = ["KafkaConsumer", "KafkaProducer"]

_LOG = logging.getLogger(__name__)


class KafkaProducer:
    """See :class:`tastemaker.broker.protocol.Producer`.

    ``acks=all`` with idempotence: an acknowledged record is stored, and a retry never stores it twice.

    Args:
        settings: gives the address.
        linger_ms: how long a record may wait for company in its batch.
        buffer_bytes: keys and values that may be on their way at once; ``send`` waits beyond it.
        max_block_s: how long ``send`` waits for room or for the broker.
        delivery_timeout_s: when an unacknowledged record fails; at least 6.

    Raises:
        BrokerUnavailable: no broker answers at the address within 10 s.
    """

    def __init__(
        self,
        settings: Settings,
        linger_ms: int = 1,
        buffer_bytes: int = 32 * 1024 * 1024,
        max_block_s: float = 10.0,
        delivery_timeout_s: float = 30.0,
    ) -> None:
        self._settings = settings
        self._max_block_s = max_block_s
        self._room = _Room(buffer_bytes)
        self._pending: set[Future[Delivered]] = set()
        try:
            self._client = ClientProducer(
                **client_config(settings),
                acks="all",
                enable_idempotence=True,
                linger_ms=linger_ms,
                batch_size=64 * 1024,
                max_block_ms=int(max_block_s * 1000),
                delivery_timeout_ms=int(delivery_timeout_s * 1000),
                request_timeout_ms=5_000,
                allow_auto_create_topics=False,
            )
        except (errors.KafkaError, OSError) as error:
            raise unreachable(settings, error) from error

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Future[Delivered]:
        """Queue one record."""
        if key is None and value is None:
            raise ValueError("a record needs a key or a value")
        size = len(key or b"") + len(value or b"")
        self._room.take(size, self._max_block_s)
        delivery: Future[Delivered] = Future()

        def settle(metadata: Any, error: BaseException | None = None) -> None:
            self._room.give(size)
            self._pending.discard(delivery)
            with suppress(InvalidStateError):  # cancelled by its holder
                if error is None:
                    delivery.set_result(Delivered(metadata.topic, metadata.partition, metadata.offset))
                else:
                    delivery.set_exception(translated(error, f"sending to {topic}"))

        self._pending.add(delivery)
        try:
            sent = self._client.send(topic, value=value, key=key, headers=list(headers))
        except BaseException as error:
            self._room.take_back(size)
            self._pending.discard(delivery)
            if isinstance(error, errors.KafkaTimeoutError):
                raise self._no_metadata(topic, error) from error
            if isinstance(error, errors.KafkaError):
                raise translated(error, f"sending to {topic}") from error
            raise
        sent.add_callback(settle)
        sent.add_errback(lambda error: settle(None, error))
        return delivery

    def flush(self, timeout: float) -> None:
        """Wait for every acknowledgement."""
        try:
            self._client.flush(timeout)
        except errors.KafkaError as error:
            raise BrokerUnavailable(f"records are still unacknowledged after {timeout:g} s; is Kafka up?") from error

    def close(self, timeout: float = 5.0) -> None:
        """Flush and disconnect."""
        with suppress(errors.KafkaError):
            self._client.flush(timeout)
        with suppress(errors.KafkaError):
            self._client.close(0.5)
        # The library leaves the futures of what it could not send unresolved for ever.
        for delivery in list(self._pending):
            with suppress(InvalidStateError):
                delivery.set_exception(BrokerUnavailable("the producer was closed before the broker had the record"))

    def _no_metadata(self, topic: str, error: BaseException) -> BrokerError:
        # The library says "timeout" both for a topic that does not exist and for a broker that is away.
        try:
            if not topic_exists(self._settings, topic):
                return UnknownTopic(f"the broker at {self._settings.broker} has no topic {topic!r}")
        except BrokerUnavailable as unavailable:
            return unavailable
        return BrokerUnavailable(f"sending to {topic}: the broker did not answer in time ({error})")


class _Room:
    """Bytes on their way to the broker: kafka-python 3 has no bound of its own.

    Callers take, the client's single sender thread gives back. The two sides share no lock: with one, each
    record would make the threads wait for each other, at a third of the throughput.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._callers = threading.Lock()
        self._taken = 0  # written under the callers' lock
        self._given = 0  # written by the sender thread alone

    def take(self, size: int, timeout: float) -> None:
        deadline = 0.0
        while True:
            with self._callers:
                pending = self._taken - self._given
                if not pending or pending + size <= self._limit:
                    self._taken += size
                    return
            now = monotonic()
            deadline = deadline or now + timeout
            if now >= deadline:
                raise BufferFull(
                    f"{pending} bytes wait for the broker's acknowledgement, at most {self._limit} may; is Kafka up?"
                )
            sleep(0.002)

    def take_back(self, size: int) -> None:
        with self._callers:
            self._taken -= size

    def give(self, size: int) -> None:
        self._given += size


class KafkaConsumer:
    """See :class:`tastemaker.broker.protocol.Consumer`.

    Args:
        settings: gives the address.
        fetch_max_wait_ms: how long the broker holds a fetch open when nothing is there; new records answer it
            at once, so this costs no latency.

    Raises:
        BrokerUnavailable: no broker answers at the address within 10 s.
    """

    def __init__(self, settings: Settings, fetch_max_wait_ms: int = 100) -> None:
        self._partitions: dict[str, list[int]] = {}
        try:
            self._client = ClientConsumer(
                **client_config(settings),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # only for positions that retention overtook while reading
                fetch_max_wait_ms=fetch_max_wait_ms,
                fetch_max_bytes=64 * 1024 * 1024,
                max_partition_fetch_bytes=8 * 1024 * 1024,
                max_poll_records=10_000,
                allow_auto_create_topics=False,
            )
        except (errors.KafkaError, OSError) as error:
            raise unreachable(settings, error) from error

    def partitions(self, topic: str) -> Sequence[int]:
        """The partition numbers of a topic."""
        if topic not in self._partitions:
            try:
                found = self._client.partitions_for_topic(topic)
            except errors.KafkaError as error:
                raise translated(error, f"asking for the partitions of {topic}") from error
            if not found:
                raise UnknownTopic(f"the broker has no topic {topic!r}")
            self._partitions[topic] = sorted(found)
        return self._partitions[topic]

    def assign(self, positions: Positions) -> None:
        """Read from these positions on."""
        first, end = self.beginning_offsets(positions), self.end_offsets(positions)
        start: dict[TopicPartition, int] = {}
        for topic, by_partition in positions.items():
            for partition, offset in by_partition.items():
                if partition not in end[topic]:
                    raise UnknownTopic(f"topic {topic!r} has no partition {partition}")
                if offset > end[topic][partition]:
                    raise BrokerError(
                        f"position {offset} lies beyond the end of {topic}[{partition}] ({end[topic][partition]}): "
                        "the broker's data was lost or replaced. Point KAFKA_BOOTSTRAP_SERVERS at the broker that "
                        "has it, or start from an empty home directory."
                    )
                if offset < first[topic][partition]:
                    _LOG.warning(
                        "%s[%d]: records %d to %d are gone by retention and will not be read",
                        topic,
                        partition,
                        offset,
                        first[topic][partition] - 1,
                    )
                start[TopicPartition(topic, partition)] = max(offset, first[topic][partition])
        self._client.assign(list(start))
        for partition_of_topic, offset in start.items():
            self._client.seek(partition_of_topic, offset)

    def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
        """Records that follow."""
        try:
            fetched = self._client.poll(timeout_ms=timeout_ms, max_records=max_records)
        except errors.KafkaError as error:
            raise translated(error, "reading") from error
        return [
            Record(r.topic, r.partition, r.offset, r.key, r.value, r.timestamp, tuple(r.headers))
            for records in fetched.values()
            for r in records
        ]

    def beginning_offsets(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """Offset of the oldest record of each partition."""
        return self._offsets(self._client.beginning_offsets, topics)

    def end_offsets(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """Offset that the next record of each partition will get."""
        return self._offsets(self._client.end_offsets, topics)

    def close(self) -> None:
        """Disconnect."""
        self._client.close(autocommit=False, timeout_ms=1_000)

    def _offsets(self, ask: Any, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        asked = [TopicPartition(topic, p) for topic in topics for p in self.partitions(topic)]
        found: dict[str, dict[int, int]] = {tp.topic: {} for tp in asked}
        try:
            for tp, offset in (ask(asked) if asked else {}).items():
                found[tp.topic][tp.partition] = offset
        except errors.KafkaError as error:
            raise translated(error, "asking for offsets") from error
        return found
