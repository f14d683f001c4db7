"""Gathering rows, and what happens when the lake fails."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from stream_cases import event

from tastemaker import names
from tastemaker.broker.protocol import Record
from tastemaker.events.contract import Event
from tastemaker.lake.tables import Lake
from tastemaker.stream.decode import Decoded
from tastemaker.stream.rows import event_rows
from tastemaker.stream.sinks import LakeSink, app_id

TOPIC = names.TOPIC_EVENTS


def decoded(offset: int, partition: int = 0) -> Decoded[Event]:
    record = Record(TOPIC, partition, offset, b"u1", b"", 0)
    return Decoded(event(f"e{partition}-{offset}"), record, 1_000_000)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "lake")
    made.create()
    return made


def sink(lake: Lake, **options: Any) -> LakeSink[Event]:
    return LakeSink(lake, names.TABLE_EVENTS, TOPIC, [0, 1], event_rows, **options)


def ids(lake: Lake) -> list[str]:
    return sorted(lake.open(names.TABLE_EVENTS).to_pyarrow_table()[names.EVENT_ID].to_pylist())


def test_rows_wait_for_the_time_or_the_number(lake):
    now = 0.0
    made = sink(lake, max_rows=3, max_wait_s=1.0, now_s=lambda: now)
    made.add([decoded(0)], {0: 0})
    made.tick()
    assert made._job is None
    made.add([decoded(1), decoded(2)], {0: 2})
    made.tick()  # three rows
    made.flush()
    assert ids(lake) == ["e0-0", "e0-1", "e0-2"]
    made.add([decoded(3)], {0: 3})
    now = 0.9
    made.tick()
    assert made._job is None
    now = 1.0
    made.tick()  # one second after the first of them
    made.close()
    assert len(ids(lake)) == 4


def test_rows_that_the_lake_has_are_left_out_partition_by_partition(lake):
    first = sink(lake)
    first.add([decoded(0), decoded(1)], {0: 1})
    first.close()
    again = sink(lake)
    assert again.positions == {0: 2, 1: 0}
    again.add([decoded(1), decoded(2), decoded(0, partition=1)], {0: 2, 1: 0})
    again.close()
    assert ids(lake) == ["e0-0", "e0-1", "e0-2", "e1-0"]
    assert lake.versions(names.TABLE_EVENTS, [app_id(TOPIC, 0), app_id(TOPIC, 1)]) == {
        app_id(TOPIC, 0): 2,
        app_id(TOPIC, 1): 0,
    }


class FailingLake(Lake):
    """Fails ``failures`` times, before the commit or after it."""

    def __init__(self, root: Path, failures: int, *, after_commit: bool) -> None:
        super().__init__(root)
        self._failures = failures
        self._after_commit = after_commit
        self.attempts = 0

    def append(self, table: str, rows: pa.Table, transactions: Mapping[str, int]) -> bool:
        self.attempts += 1
        if self.attempts > self._failures:
            return super().append(table, rows, transactions)
        if self._after_commit:
            super().append(table, rows, transactions)
        raise OSError("no space left on device")


@pytest.mark.parametrize("after_commit", [False, True])
def test_failed_commit_is_tried_again_and_nothing_is_there_twice(lake, after_commit):
    failing = FailingLake(lake.root, 1, after_commit=after_commit)
    made = sink(failing)
    made.add([decoded(0)], {0: 0})
    made.flush()
    made.add([decoded(1)], {0: 1})
    made.close()
    assert ids(lake) == ["e0-0", "e0-1"]
    assert failing.attempts == 3


def test_commit_that_fails_while_stopping_is_raised_and_the_position_stays(lake):
    stop = threading.Event()
    stop.set()
    made = sink(FailingLake(lake.root, 10, after_commit=False), stop=stop)
    made.add([decoded(0)], {0: 0})
    with pytest.raises(OSError, match="no space"):
        made.close()
    assert sink(lake).positions == {0: 0, 1: 0}
