"""Reading what a fetch brought, several times faster than kafka-python does: that is most of what consuming costs.

The library calls a function for each of a record's seven or more variable-length integers and builds two objects on
the way to a third. Here one loop reads a batch. The rest of the library's class (offsets, pauses, errors) stays.

Format: https://kafka.apache.org/documentation/#recordbatch, version 2; integers are zigzag varints as in Protocol
Buffers. Batches of older versions are left to the library.
"""

from collections.abc import Iterator
from typing import Any

from kafka import TopicPartition, errors
from kafka.consumer.fetcher import Fetcher
from kafka.record.default_records import DefaultRecordBatch

from tastemaker.broker.protocol import Headers, Record

__all__ = ["FastRecords", "unpack_batch"]


class FastRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of one partition in one fetch, as :class:`Record`; put in the place of the library's class."""

    def _unpack_records(self, tp: TopicPartition, records: Any, *deserializers: Any) -> Iterator[Record]:
        try:
            while (batch := records.next_batch()) is not None:
                if not batch.validate_crc():
                    raise errors.CorruptRecordError(
                        f"the checksum of the batch at {tp.topic}[{tp.partition}] offset {batch.base_offset} is wrong"
                    )
                if not isinstance(batch, DefaultRecordBatch):
                    unpacked = [
                        Record(tp.topic, tp.partition, old.offset, old.key, old.value, old.timestamp) for old in batch
                    ]
                else:
                    self.leader_epoch = batch.leader_epoch
                    unpacked = [] if batch.is_control_batch else unpack_batch(tp.topic, tp.partition, batch)
                for record in unpacked:
                    self.next_fetch_offset = record.offset + 1
                    yield record
                self.records_read += len(unpacked)
                self.bytes_read += batch.size_in_bytes if isinstance(batch, DefaultRecordBatch) else 0
                if isinstance(batch, DefaultRecordBatch):
                    # Compaction may have removed the batch's last records; the next fetch starts after them.
                    self.next_fetch_offset = batch.next_offset
            self.drain()
        except StopIteration as error:  # of the library; a generator must not let it out
            raise errors.CorruptRecordError("the records of a batch end too early") from error


def unpack_batch(topic: str, partition: int, batch: DefaultRecordBatch) -> list[Record]:
    """The records of a batch of version 2.

    Raises:
        CorruptRecordError: the bytes are not those of as many records as the batch says.
    """
    batch._maybe_uncompress()
    data = bytes(batch._buffer)
    pos = batch._pos
    base_offset, base_ms = batch.base_offset, batch.first_timestamp
    fixed_ms = batch.max_timestamp if batch.timestamp_type == batch.LOG_APPEND_TIME else None
    records: list[Record] = []
    keep = records.append
    try:
        for _ in range(batch.records_count):
            length, pos = _varint(data, pos) if data[pos] > 127 else (data[pos] >> 1, pos + 1)
            end = pos + length
            pos += 1  # attributes, unused
            ms, pos = _varint(data, pos) if data[pos] > 127 else ((data[pos] >> 1) ^ -(data[pos] & 1), pos + 1)
            offset, pos = _varint(data, pos) if data[pos] > 127 else (data[pos] >> 1, pos + 1)
            size, pos = _varint(data, pos) if data[pos] > 127 else ((data[pos] >> 1) ^ -(data[pos] & 1), pos + 1)
            key = None
            if size >= 0:
                key = data[pos : pos + size]
                pos += size
            size, pos = _varint(data, pos) if data[pos] > 127 else ((data[pos] >> 1) ^ -(data[pos] & 1), pos + 1)
            value = None
            if size >= 0:
                value = data[pos : pos + size]
                pos += size
            headers: Headers = ()
            if data[pos]:
                headers, pos = _headers(data, pos)
            else:
                pos += 1
            if pos != end:
                raise errors.CorruptRecordError(f"a record of {topic}[{partition}] is not as long as it says")
            at_ms = base_ms + ms if fixed_ms is None else fixed_ms
            keep(Record(topic, partition, base_offset + offset, key, value, at_ms, headers))
    except (IndexError, UnicodeDecodeError) as error:
        raise errors.CorruptRecordError(f"a batch of {topic}[{partition}] ends within a record") from error
    if pos != len(data):
        raise errors.CorruptRecordError(f"a batch of {topic}[{partition}] goes on after its last record")
    return records


def _headers(data: bytes, pos: int) -> tuple[Headers, int]:
    count, pos = _varint(data, pos)
    headers: list[tuple[str, bytes]] = []
    for _ in range(count):
        size, pos = _varint(data, pos)
        name = data[pos : pos + size].decode()
        pos += size
        size, pos = _varint(data, pos)
        headers.append((name, data[pos : pos + max(size, 0)]))
        pos += max(size, 0)
    return tuple(headers), pos


def _varint(data: bytes, pos: int) -> tuple[int, int]:
    """A zigzag varint, and the position after it."""
    low = data[pos]
    if low < 128:
        return (low >> 1) ^ -(low & 1), pos + 1
    high = data[pos + 1]
    if high < 128:
        raw = low & 127 | high << 7
        return (raw >> 1) ^ -(raw & 1), pos + 2
    raw, shift, pos = low & 127 | (high & 127) << 7, 14, pos + 2
    while True:
        byte = data[pos]
        raw |= (byte & 127) << shift
        pos += 1
        if byte < 128:
            return (raw >> 1) ^ -(raw & 1), pos
        shift += 7
