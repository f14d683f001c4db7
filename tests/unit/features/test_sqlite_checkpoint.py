"""The log of an SQLite store goes into its file beside the writer."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tastemaker.features.stores import sqlite_checkpoint
from tastemaker.features.stores.sqlite import SqliteStore
from tastemaker.features.stores.sqlite_checkpoint import Checkpointer, checkpoint


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "online.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(path)) as opened:
        yield opened


def put(store: SqliteStore, *keys: str) -> None:
    with store.transaction() as tx:
        tx.put("v@1", list(keys), [1] * len(keys), [b"state"] * len(keys))


def keys_in_file(path: Path) -> list[str]:
    """What the file holds without its log."""
    alone = path.with_name("alone.sqlite")
    shutil.copy(path, alone)
    with closing(sqlite3.connect(alone)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'online'").fetchone():
            return []
        return [key for (key,) in connection.execute("SELECT key FROM online ORDER BY key")]


def test_what_was_committed_is_copied(store: SqliteStore, path: Path) -> None:
    put(store, "a", "b")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert checkpoint(connection)
    assert keys_in_file(path) == ["a", "b"]


def test_a_reader_of_an_older_state_keeps_the_rest_in_the_log_and_waits_for_nobody(
    store: SqliteStore, path: Path
) -> None:
    put(store, "a")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT key FROM online").fetchall() == [("a",)]
        put(store, "b")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            assert not checkpoint(connection)
            assert reader.execute("SELECT key FROM online").fetchall() == [("a",)]
            reader.execute("COMMIT")
            assert checkpoint(connection)
    assert keys_in_file(path) == ["a", "b"]


def test_while_another_one_writes_what_was_committed_before_is_copied(store: SqliteStore, path: Path) -> None:
    put(store, "a")
    with store.transaction() as tx, closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tx.put("v@1", ["b"], [1], [b"state"])
        assert checkpoint(connection)
    with closing(store.reader()) as reader:
        assert [row is not None for row in reader.rows("v@1", ["a", "b"])] == [True, True]


def test_the_thread_copies_after_a_commit_and_ends_when_closed(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_checkpoint, "_EVERY_S", 0.0)
    put(store, "a")
    checkpointer = Checkpointer(path)
    checkpointer.committed()
    thread = checkpointer._thread
    assert thread is not None
    for _ in range(500):
        if keys_in_file(path) == ["a"]:
            break
        thread.join(0.01)
    checkpointer.close()
    assert keys_in_file(path) == ["a"]
    assert not thread.is_alive()


def test_a_store_that_was_moved_away_is_not_made_anew(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    missing = tmp_path / "moved.sqlite"
    checkpointer = Checkpointer(missing)
    checkpointer.committed()
    checkpointer.close()
    assert not missing.exists()
