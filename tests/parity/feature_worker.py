"""The stream executor as a worker drives it: batches, corrections by way of the lake, and records that come again."""

from collections.abc import Sequence
from itertools import count

from feature_histories import table_of
from feature_reference import Arrival

from tastemaker import names
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.streaming.consumed import ConsumedEvent
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.offsets import committed_offsets
from tastemaker.lake.tables import Lake

__all__ = ["StreamRun", "consumed"]

_PARTITIONS = 2


def consumed(arrivals: Sequence[Arrival], partitions: int = _PARTITIONS) -> list[ConsumedEvent]:
    """Arrivals as records of a topic; every sender's events are in one partition."""
    offsets = [count() for _ in range(partitions)]
    records = []
    for event, ingested_us in arrivals:
        partition = len(event.user_id or event.session_id or "") % partitions if partitions > 1 else 0
        records.append(ConsumedEvent(event, partition, next(offsets[partition]), ingested_us))
    return records


class StreamRun:
    """A worker's feature state and lake, without the worker.

    Args:
        location: of the online store.
        plan: the declarations.
        lake: has its tables; where first occurrences go, at the latest when a correction needs them.
    """

    def __init__(self, location: str, plan: FeaturePlan, lake: Lake, cache_bytes: int = 1 << 20) -> None:
        self.lake = lake
        self.state = FeatureState.open(location, plan, cache_bytes, lake)
        self._backlog: dict[tuple[int, int], ConsumedEvent] = {}
        self._reached: dict[int, int] = {}
        self._in_lake = committed_offsets(lake.open(names.TABLE_EVENTS), names.TOPIC_EVENTS, range(_PARTITIONS))

    def apply(self, records: Sequence[ConsumedEvent]) -> None:
        """Apply one batch."""
        positions: dict[int, int] = {}
        for record in records:
            positions[record.partition] = max(positions.get(record.partition, 0), record.offset + 1)

        def before_commit(answers: list[bool]) -> None:
            for record, first in zip(records, answers, strict=True):
                if first and record.offset > self._in_lake.get(record.partition, -1):
                    self._backlog[record.partition, record.offset] = record
            for partition, following in positions.items():
                self._reached[partition] = max(self._reached.get(partition, -1), following - 1)
            if self.state.building or any(record.event.corrects for record in records):
                self.flush()

        self.state.apply(records, positions, before_commit)

    def flush(self) -> None:
        """Bring everything applied into the lake."""
        ahead = {p: offset for p, offset in self._reached.items() if offset > self._in_lake.get(p, -1)}
        if ahead:
            apps = {f"worker:{names.TOPIC_EVENTS}:{partition}": offset for partition, offset in ahead.items()}
            self.lake.append(names.TABLE_EVENTS, table_of(self._backlog.values()), apps)
        self._in_lake |= ahead
        self._backlog.clear()

    def apply_all(self, records: Sequence[ConsumedEvent], size: int, again: Sequence[int] = ()) -> None:
        """Apply records in batches of a size; after the batches of these numbers, all of the last few come again."""
        for number, begin in enumerate(range(0, len(records), size)):
            self.apply(records[begin : begin + size])
            if number in again:
                for earlier in range(max(0, begin - 2 * size), begin + 1, size):
                    self.apply(records[earlier : earlier + size])

    def close(self) -> None:
        """Close the store."""
        self.state.close()
