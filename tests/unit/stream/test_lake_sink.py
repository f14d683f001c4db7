"""Gathering rows, and what happens when the lake fails."""

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError
from stream_cases import event

from tastemaker import names
from tastemaker.features.streaming.state import ConsumedEvent
from tastemaker.lake.offsets import append_newer, committed_offsets
from tastemaker.lake.tables import Lake
from tastemaker.stream import sinks
from tastemaker.stream.rows import event_rows
from tastemaker.stream.sinks import LakeSink
from tastemaker.stream.stopping import Stopping

TOPIC = names.TOPIC_EVENTS


def decoded(offset: int, partition: int = 0) -> ConsumedEvent:
    return ConsumedEvent(event(f"e{partition}-{offset}"), partition, offset, 1_000_000)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "lake")
    made.create()
    return made


def sink(lake: Lake, **options: Any) -> LakeSink[ConsumedEvent]:
    made = LakeSink(lake, names.TABLE_EVENTS, TOPIC, event_rows, **options)
    made.claim([0, 1])
    return made


def held(lake: Lake) -> dict[int, int]:
    return committed_offsets(lake.open(names.TABLE_EVENTS), TOPIC, [0, 1])


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
    assert held(lake) == {0: 2, 1: 0}


class Failing:
    """Stands for the append, and fails ``failures`` times, before the commit or after it."""

    def __init__(self, failures: int, *, after_commit: bool) -> None:
        self._failures = failures
        self._after_commit = after_commit
        self.attempts = 0
        self.tried = threading.Event()

    def __call__(self, table: Any, topic: str, rows: pa.Table, last: Any) -> int:
        self.attempts += 1
        if self.attempts > self._failures:
            return append_newer(table, topic, rows, last)
        if self._after_commit:
            append_newer(table, topic, rows, last)
        self.tried.set()
        raise OSError("no space left on device")


@pytest.mark.parametrize("after_commit", [False, True])
def test_failed_commit_is_tried_again_and_nothing_is_there_twice(lake, monkeypatch, after_commit):
    failing = Failing(1, after_commit=after_commit)
    monkeypatch.setattr(sinks, "append_newer", failing)
    made = sink(lake)
    made.add([decoded(0)], {0: 0})
    made.flush()
    made.add([decoded(1)], {0: 1})
    made.close()
    assert ids(lake) == ["e0-0", "e0-1"]
    assert failing.attempts == 3


def test_commit_that_fails_while_stopping_is_raised_and_the_position_stays(lake, monkeypatch):
    monkeypatch.setattr(sinks, "append_newer", Failing(10, after_commit=False))
    stop = Stopping()
    stop.set()
    made = sink(lake, stop=stop)
    made.add([decoded(0)], {0: 0})
    with pytest.raises(OSError, match="no space"):
        made.close()
    assert sink(lake).positions == {0: 0, 1: 0}


def test_rows_of_a_partition_that_another_worker_brought_further_are_cut(lake):
    late, quick = sink(lake), sink(lake)
    rows = [decoded(0), decoded(1), decoded(2)]
    late.add([*rows, decoded(0, partition=1)], {0: 2, 1: 0})
    quick.add(rows[:2], {0: 1})
    quick.flush()
    late.flush()  # offsets 0 and 1 of partition 0 are there; 2, and partition 1, are not
    assert ids(lake) == ["e0-0", "e0-1", "e0-2", "e1-0"]
    quick.add(rows[2:], {0: 2})
    quick.close()
    late.close()
    assert ids(lake) == ["e0-0", "e0-1", "e0-2", "e1-0"]
    assert held(lake) == {0: 2, 1: 0}


def test_of_two_commits_for_one_partition_at_once_one_is_done_again(lake):
    # Both have looked at the table before either commits.
    one, other = lake.open(names.TABLE_EVENTS), lake.open(names.TABLE_EVENTS)
    rows = event_rows([decoded(0)])
    assert append_newer(one, TOPIC, rows, {0: 0}) == 1

    class Stale:
        """A table that is not brought up to date, as when the other commit comes right after that."""

        def __init__(self) -> None:
            self.fresh = False

        def update_incremental(self) -> None:
            if self.fresh:
                other.update_incremental()

        def transaction_version(self, app: str) -> int | None:
            return other.transaction_version(app)

    stale = Stale()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tastemaker.lake.offsets.write_deltalake", lambda _, *args, **kw: write_deltalake(other, *args, **kw)
        )
        with pytest.raises(CommitFailedError):
            append_newer(stale, TOPIC, rows, {0: 0})
        stale.fresh = True
        assert append_newer(stale, TOPIC, rows, {0: 0}) == 0
    assert ids(lake) == ["e0-0"]


def test_partitions_that_are_given_up_leave_their_rows_in_the_lake_or_to_the_next_owner(lake, monkeypatch):
    made = sink(lake)
    made.add([decoded(0)], {0: 0})
    made.release(10)
    assert ids(lake) == ["e0-0"]
    assert made.claim([0]) == {0: 1}
    failing = Failing(10**9, after_commit=False)
    monkeypatch.setattr(sinks, "append_newer", failing)
    made.add([decoded(1)], {0: 1})
    made.release(0.01)  # the lake fails for longer than that
    assert failing.attempts >= 1
    monkeypatch.undo()
    assert made.claim([0, 1]) == {0: 1, 1: 0}
    made.add([decoded(1)], {0: 1})
    made.discard()
    assert made.claim([0]) == {0: 1}
    made.close()
    assert ids(lake) == ["e0-0"]


def test_large_records_are_appended_before_there_are_many(lake):
    made = sink(lake, max_rows=1_000, max_bytes=100, max_wait_s=10**9)
    made.add([decoded(0)], {0: 0}, size=99)
    made.tick()
    assert made._job is None
    made.add([decoded(1)], {0: 1}, size=1)
    made.tick()
    made.flush()
    assert ids(lake) == ["e0-0", "e0-1"]
    made.close()
