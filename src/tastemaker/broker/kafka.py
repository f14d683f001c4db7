"""Kafka through kafka-python: an idempotent producer, and a consumer that works alone or in a group.

Checksums are fast only with ``crc32c`` installed beside kafka-python; the ``stream`` extra brings it.
"""

import logging
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from kafka import KafkaConsumer as ClientConsumer
from kafka import TopicPartition, errors

from tastemaker.broker.connection import client_config, translated, unreachable
from tastemaker.broker.kafka_group import Rebalance, finish_joins, is_joining
from tastemaker.broker.kafka_producer import KafkaProducer
from tastemaker.broker.kafka_records import FastRecords
from tastemaker.broker.protocol import BrokerError, GroupListener, Positions, Record, UnknownTopic
from tastemaker.settings import Settings

__all__ = ["KafkaConsumer", "KafkaProducer"]

_LOG = logging.getLogger(__name__)
_JOIN_MS = 100  # an answer that comes between two polls is lost, and the client asks again


class KafkaConsumer:
    """See :class:`tastemaker.broker.protocol.Consumer`.

    Args:
        settings: gives the address.
        fetch_max_wait_ms: how long the broker holds a fetch open when nothing is there; new records answer it
            at once, so this costs no latency.
        group: share partitions with the other consumers of this group; see :meth:`subscribe`.
        member: who this is in the group, the same after a restart: a member that comes back within ``session_s``
            gets its partitions again at once, and nobody else is disturbed (KIP-345). Empty for a passing one.
        session_s: a member that is silent for so long is dead to the group; at least what the broker allows (6 s
            by default).

    Raises:
        BrokerUnavailable: no broker answers at the address within 10 s.
    """

    def __init__(
        self,
        settings: Settings,
        fetch_max_wait_ms: int = 100,
        group: str = "",
        member: str = "",
        session_s: float = 10.0,
    ) -> None:
        self._partitions: dict[str, list[int]] = {}
        self._rebalance: Rebalance | None = None
        session_ms = int(session_s * 1000)
        membership = {"session_timeout_ms": session_ms, "heartbeat_interval_ms": session_ms // 4} if group else {}
        try:
            self._client = ClientConsumer(
                **client_config(settings),
                **membership,
                group_id=group or None,
                group_instance_id=member or None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # only for positions that retention overtook while reading
                fetch_max_wait_ms=fetch_max_wait_ms,
                fetch_max_bytes=16 * 1024 * 1024,
                max_partition_fetch_bytes=4 * 1024 * 1024,
                max_poll_records=10_000,
                receive_buffer_bytes=1024 * 1024,
                allow_auto_create_topics=False,
            )
        except (errors.KafkaError, OSError) as error:
            raise unreachable(settings, error) from error
        self._client._fetcher.PartitionRecords = FastRecords
        if group:
            finish_joins(self._client)

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
        start = self._start(positions)
        self._client.assign(list(start))
        self._seek(start)

    def subscribe(self, topics: Sequence[str], listener: GroupListener) -> None:
        """Share the partitions with the group, or take all of them without one."""
        if self._client.config["group_id"] is None:
            self.assign(listener.assigned({topic: self.partitions(topic) for topic in topics}))
            return
        self._rebalance = Rebalance(self._client, listener, lambda positions: self._seek(self._start(positions)))
        self._client.subscribe(list(topics), listener=self._rebalance)

    def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
        """Records that follow."""
        try:
            fetched = self._fetch(timeout_ms, max_records)
        except errors.KafkaError as error:
            if self._rebalance is not None:
                self._rebalance.reraise()
            raise translated(error, "reading") from error
        return list(chain.from_iterable(fetched.values()))

    def _fetch(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        if self._rebalance is not None and is_joining(self._client):
            timeout_ms = max(timeout_ms, _JOIN_MS)
        if max_records > 0:
            fetched: dict[TopicPartition, list[Record]] = self._client.poll(timeout_ms, max_records)
            return fetched
        held = self._client.assignment()
        self._client.pause(*held)
        try:
            newly_assigned = self._client.poll(timeout_ms, 1)
        finally:
            self._client.resume(*(held & self._client.assignment()))
        for partition, records in newly_assigned.items():
            self._client.seek(partition, records[0].offset)
        return {}

    def _start(self, positions: Positions) -> dict[TopicPartition, int]:
        """Where to start, checked against what the broker has."""
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
        return start

    def _seek(self, start: dict[TopicPartition, int]) -> None:
        for partition, offset in start.items():
            self._client.seek(partition, offset)

    def beginning_offsets(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """Offset of the oldest record of each partition."""
        return self._offsets(self._client.beginning_offsets, topics)

    def end_offsets(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """Offset that the next record of each partition will get."""
        return self._offsets(self._client.end_offsets, topics)

    def close(self) -> None:
        """Leave the group and disconnect."""
        if self._rebalance is not None:
            self._rebalance.end()
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
