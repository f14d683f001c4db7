"""What the platform needs of a message broker; ``kafka.py`` and ``memory.py`` both pass one contract suite."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import NamedTuple, Protocol

import msgspec

from tastemaker.errors import TastemakerError

__all__ = [
    "BrokerError",
    "BrokerUnavailable",
    "BufferFull",
    "Consumer",
    "Delivered",
    "GroupListener",
    "Headers",
    "Positions",
    "Producer",
    "Record",
    "RecordTooLarge",
    "UnknownTopic",
]


Headers = tuple[tuple[str, bytes], ...]
Positions = Mapping[str, Mapping[int, int]]
"""Next offset to read, by topic and partition."""


class BrokerError(TastemakerError):
    """The broker refused a request or cannot carry it out."""


class BrokerUnavailable(BrokerError):
    """The broker cannot be reached, or did not acknowledge in time; the record may or may not be stored."""


class BufferFull(BrokerError):
    """A producer's buffer has no room, because the broker takes records more slowly than they come."""


class RecordTooLarge(BrokerError):
    """One record exceeds what the broker accepts."""


class UnknownTopic(BrokerError):
    """The broker has no topic of that name."""


class Delivered(NamedTuple):
    """Where an acknowledged record is."""

    topic: str
    partition: int
    offset: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record as the broker stores it.

    Attributes:
        topic: its topic.
        partition: number of the partition, from 0.
        offset: place in the partition; grows, with gaps where compaction removed records.
        key: what the partition was chosen by.
        value: the payload; None is a tombstone.
        timestamp_ms: milliseconds since the epoch, stamped by the producer.
        headers: pairs of name and value.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers = ()


class Producer(Protocol):
    """Sends records; safe to use from several threads."""

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> "Future[Delivered]":
        """Queue one record and return at once, or when the buffer has room again.

        Records with equal keys go to one partition and keep their order.

        Returns:
            A future that resolves once the broker has the record safely, and otherwise raises a
            :class:`BrokerError`. Cancelling it does not recall the record.

        Raises:
            RecordTooLarge: the broker would refuse the record.
            BufferFull: no room, and none came in time.
            UnknownTopic: there is no such topic.
            BrokerUnavailable: the broker cannot be asked about the topic.
            ValueError: neither key nor value.
        """
        ...

    def flush(self, timeout: float) -> None:
        """Wait until every record sent before is acknowledged or failed.

        Raises:
            BrokerUnavailable: not all were, after ``timeout`` seconds.
        """
        ...

    def close(self, timeout: float = 5.0) -> None:
        """Flush for at most ``timeout`` seconds, fail what is left, and release the connection."""
        ...


class GroupListener(Protocol):
    """Whom a consumer tells which partitions it has; see :meth:`Consumer.subscribe`.

    Called while :meth:`Consumer.poll` or :meth:`Consumer.close` runs, perhaps by another thread than the one that
    waits for these, and one call at a time. Both may take as long as their work takes.
    """

    def assigned(self, partitions: Mapping[str, Sequence[int]]) -> Positions:
        """All partitions that the consumer has from now on, by topic; perhaps none.

        Returns:
            For each of them the position to read from.
        """
        ...

    def revoked(self, lost: bool) -> None:
        """The consumer has no partition any more, until :meth:`assigned` is called again.

        Args:
            lost: others may be at work on the partitions already, because the group took this member for dead.
                Otherwise they wait until this returns.
        """
        ...


class Consumer(Protocol):
    """Reads partitions from positions that the caller keeps; used by one thread."""

    def partitions(self, topic: str) -> Sequence[int]:
        """The partition numbers of a topic, ascending.

        Raises:
            UnknownTopic: there is no such topic.
        """
        ...

    def assign(self, positions: Positions) -> None:
        """Read from these positions on, and from no other partition.

        A position older than the oldest record that the broker kept starts at that record (with a warning
        in the log).

        Raises:
            UnknownTopic: a topic or partition does not exist.
            BrokerError: a position lies beyond the end of its partition, so the broker's data is not the data
                that the position was taken from.
            BrokerUnavailable: the broker cannot be reached.
        """
        ...

    def subscribe(self, topics: Sequence[str], listener: GroupListener) -> None:
        """Share the partitions of some topics with the other members of the consumer's group.

        The first :meth:`poll` joins the group. Whenever a member comes, goes or dies, all members give up their
        partitions, and get new ones when all have. A consumer without a group has every partition.

        Raises (from :meth:`poll`):
            BrokerError: a position that ``assigned`` returned lies beyond the end of its partition.
            Exception: whatever the listener raised.
        """
        ...

    def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
        """Records that follow, each partition in order; empty when none came in time.

        Args:
            timeout_ms: how long to wait for the first record.
            max_records: how many to return at most.
        """
        ...

    def beginning_offsets(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """Offset of the oldest record of each partition (its end where it has none)."""
        ...

    def end_offsets(self, topics: Iterable[str]) -> dict[str, dict[int, int]]:
        """Offset that the next record of each partition will get."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...
