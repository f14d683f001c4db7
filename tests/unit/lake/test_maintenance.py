"""Compaction and vacuum: nothing is lost, nothing counts twice, and no append fails for it."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake.exceptions import CommitFailedError
from lake_rows import day, events, items, numbered

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.lake.maintenance import Compacted, compact, until_committed, vacuum
from tastemaker.lake.retention import expire
from tastemaker.lake.status import table_status
from tastemaker.lake.tables import SPILL_PREFIX, Lake

EVENTS = names.TABLE_EVENTS
HOUR = timedelta(hours=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "lake")
    made.create()
    return made


def _fill(lake: Lake, commits: int = 6) -> None:
    for n in range(commits):
        lake.append(EVENTS, events(*numbered(10 * n, 10)), {"worker:e:0": n})


def _ids(lake: Lake) -> list[str]:
    return [row[0] for row in lake.connect().execute("SELECT event_id FROM events ORDER BY ALL").fetchall()]


def _age(lake: Lake, table: str) -> None:
    """Make every file of a table look old to those who go by the file's own time."""
    for path in lake.path(table).glob("*.parquet"):
        os.utime(path, (1, 1))


def test_compact_makes_many_files_one_and_changes_no_row(lake: Lake) -> None:
    _fill(lake)
    before = lake.connect().execute("FROM events ORDER BY ALL").fetchall()
    assert compact(lake, EVENTS) == Compacted(before=6, after=1)
    assert lake.connect().execute("FROM events ORDER BY ALL").fetchall() == before
    assert table_status(lake, EVENTS).files == 1


def test_compact_twice_does_nothing_the_second_time(lake: Lake) -> None:
    _fill(lake)
    compact(lake, EVENTS)
    version = lake.open(EVENTS).version()
    assert compact(lake, EVENTS) == Compacted(0, 0)
    assert lake.open(EVENTS).version() == version


def test_compact_an_empty_table_is_no_problem(lake: Lake) -> None:
    assert compact(lake, EVENTS) == Compacted(0, 0)


def test_compact_leaves_files_of_the_target_size_alone(lake: Lake) -> None:
    _fill(lake)
    assert compact(lake, EVENTS, target_bytes=1) == Compacted(0, 0)


@pytest.mark.parametrize("size", [0, -1])
def test_compact_to_a_size_that_is_none_is_refused(lake: Lake, size: int) -> None:
    with pytest.raises(DataError, match="positive"):
        compact(lake, EVENTS, target_bytes=size)


def test_compact_without_a_lake_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="import data first"):
        compact(Lake(tmp_path), EVENTS)


def test_transactions_survive_compaction_checkpoint_expiry_and_vacuum(lake: Lake) -> None:
    _fill(lake)
    compact(lake, EVENTS)
    assert (lake.path(EVENTS) / "_delta_log" / "_last_checkpoint").exists()
    expire(lake, EVENTS, day(100))
    _age(lake, EVENTS)
    vacuum(lake, EVENTS, retention=HOUR)
    assert lake.versions(EVENTS, ["worker:e:0"]) == {"worker:e:0": 5}
    # A worker that delivers its last batch once more changes nothing, though its rows are gone.
    assert not lake.append(EVENTS, events(*numbered(50, 10)), {"worker:e:0": 5})
    assert _ids(lake) == []


def test_appends_while_the_table_is_compacted_all_succeed_once(lake: Lake) -> None:
    commits, failures = 40, []

    def append() -> None:
        try:
            for n in range(commits):
                lake.append(EVENTS, events(*numbered(10 * n, 10)), {"worker:e:0": n})
        except BaseException as error:
            failures.append(error)

    worker = threading.Thread(target=append)
    worker.start()
    compactions = 0
    while worker.is_alive():
        compactions += compact(lake, EVENTS).before > 0
        vacuum(lake, EVENTS, retention=HOUR)
    worker.join()
    assert failures == []
    assert compactions > 0
    assert _ids(lake) == [event_id for event_id, _ in numbered(0, 10 * commits)]
    assert lake.versions(EVENTS, ["worker:e:0"]) == {"worker:e:0": commits - 1}


def test_appends_while_old_rows_expire_all_succeed_once(lake: Lake) -> None:
    commits, failures = 30, []
    lake.append(EVENTS, events(*[(f"old{n}", -10.0) for n in range(100)]), {"backfill": 1})

    def append() -> None:
        try:
            for n in range(commits):
                lake.append(EVENTS, events(*numbered(10 * n, 10), (f"late{n}", -5.0)), {"worker:e:0": n})
        except BaseException as error:
            failures.append(error)

    worker = threading.Thread(target=append)
    worker.start()
    while worker.is_alive():
        expire(lake, EVENTS, day(-1))
    worker.join()
    expire(lake, EVENTS, day(-1))
    assert failures == []
    assert _ids(lake) == [event_id for event_id, _ in numbered(0, 10 * commits)]


def test_vacuum_keeps_young_files_and_deletes_replaced_and_orphaned_ones_that_are_old(lake: Lake) -> None:
    _fill(lake)
    orphan = lake.path(EVENTS) / "part-00000-of-a-killed-writer.snappy.parquet"
    orphan.write_bytes(b"half")
    compact(lake, EVENTS)
    assert vacuum(lake, EVENTS, retention=HOUR) == 0
    assert orphan.exists()
    os.utime(orphan, (1, 1))
    assert vacuum(lake, EVENTS, retention=HOUR, dry_run=True) == 1
    assert orphan.exists()
    assert vacuum(lake, EVENTS, retention=HOUR) == 1
    assert not orphan.exists()
    assert len(_ids(lake)) == 60


def test_vacuum_that_would_take_files_from_under_a_query_is_refused(lake: Lake) -> None:
    with pytest.raises(DataError, match="at least 1:00:00"):
        vacuum(lake, EVENTS, retention=timedelta(minutes=59))


def test_vacuum_sweeps_what_killed_queries_spilled_and_leaves_what_running_ones_do(lake: Lake) -> None:
    dead, alive = lake.root / f"{SPILL_PREFIX}dead", lake.root / f"{SPILL_PREFIX}alive"
    for directory in (dead, alive):
        directory.mkdir()
        (directory / "duckdb_temp_storage-0.tmp").write_bytes(b"x")
    os.utime(dead, (1, 1))
    vacuum(lake, EVENTS)
    assert (dead.exists(), alive.exists()) == (False, True)


def test_maintenance_that_loses_a_race_tries_again_and_gives_up_with_the_remedy(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tastemaker.lake.maintenance.time.sleep", lambda seconds: None)
    lost = []

    def lose_twice(_: object) -> str:
        if len(lost) < 2:
            lost.append(1)
            raise CommitFailedError("another commit")
        return "done"

    assert until_committed(lake, EVENTS, lose_twice) == "done"

    def always_lose(_: object) -> None:
        raise CommitFailedError("another commit")

    with pytest.raises(DataError, match="run it again"):
        until_committed(lake, EVENTS, always_lose)


def test_status_counts_rows_files_and_the_span_of_time(lake: Lake) -> None:
    _fill(lake)
    status = table_status(lake, EVENTS)
    # 60 events, a thousandth of a day apart.
    assert (status.rows, status.files, status.version) == (60, 6, 6)
    assert status.oldest == day(0)
    assert status.newest is not None
    assert abs(status.newest - day(0.059)) < timedelta(milliseconds=1)  # the log rounds to milliseconds
    assert 0 < status.bytes < status.bytes_on_disk
    compact(lake, EVENTS)
    compacted = table_status(lake, EVENTS)
    assert (compacted.rows, compacted.files) == (60, 1)
    assert compacted.bytes_on_disk > compacted.bytes + status.bytes  # until the vacuum


def test_status_of_an_empty_table_has_no_times(lake: Lake) -> None:
    status = table_status(lake, names.TABLE_ITEMS)
    assert (status.rows, status.files, status.oldest, status.newest) == (0, 0, None, None)


def test_status_after_a_deletion_counts_what_is_left(lake: Lake) -> None:
    lake.append(names.TABLE_ITEMS, items(("a", 0, False), ("a", 1, False)), {"x": 1})
    expire(lake, names.TABLE_ITEMS, day(2))
    assert table_status(lake, names.TABLE_ITEMS).rows == 1
