import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.features.stores import sqlite_changes, sqlite_file, sqlite_seen
from tastemaker.features.stores.protocol import StoreConflict, StoredItem
from tastemaker.features.stores.sqlite import SqliteStore
from tastemaker.features.stores.sqlite_reader import SqliteReader
from tastemaker.features.stores.sqlite_seen_filter import SeenFilters, make_filter

VIEW, OTHER = "user@1", "item@1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "online.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    yield opened
    opened.close()


def put(store: SqliteStore, view: str, *keys: str) -> None:
    with store.transaction() as tx:
        tx.put(view, keys, [1] * len(keys), [b"s"] * len(keys))


def random_digests(count: int, seed: int = 1) -> list[bytes]:
    raw = np.random.default_rng(seed).bytes(16 * count)
    return [raw[at : at + 16] for at in range(0, len(raw), 16)]


def test_file_of_the_first_format_is_emptied_and_says_that_it_must_be_rebuilt(path: Path) -> None:
    path.parent.mkdir()
    old = sqlite3.connect(path)
    old.execute("CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID")
    old.execute("INSERT INTO meta VALUES ('format', 1), ('state_hash', 'abc'), ('rev', 7)")
    old.execute("CREATE TABLE online(view TEXT, key TEXT, event_us INTEGER, rev INTEGER, state BLOB)")
    old.execute("INSERT INTO online VALUES ('user@1', 'u1', 1, 7, x'00')")
    old.commit()
    old.close()
    with pytest.raises(DataError, match=r"format 1, this version reads 3; start the stream worker"):
        SqliteReader(path)
    store = SqliteStore(path)
    reader = store.reader()
    assert reader.rows(VIEW, ["u1"]) == [None]
    assert reader.get_meta("state_hash") is None
    assert reader.get_meta(sqlite_file.REBUILD) == "format 1"
    put(store, VIEW, "u1")
    store.close()
    again = SqliteStore(path)  # it stays so until whoever has rebuilt it clears it
    assert reader.get_meta(sqlite_file.REBUILD) == "format 1"
    with again.transaction() as tx:
        tx.set_meta(sqlite_file.REBUILD, "")
    assert reader.get_meta(sqlite_file.REBUILD) == ""
    reader.close()
    again.close()


def test_new_file_need_not_be_rebuilt(store: SqliteStore, path: Path) -> None:
    assert store.reader().get_meta(sqlite_file.REBUILD) is None


def test_file_that_is_no_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all" * 100)
    for opens in (SqliteReader, SqliteStore):
        with pytest.raises(DataError, match="is no online store"):
            opens(path)
    assert path.read_bytes() == b"no database at all" * 100


@pytest.mark.parametrize("formats", [[], [("format", 4)], [("other", 1)]])
def test_database_of_somebody_else_or_of_a_later_version_is_left_alone(
    path: Path, formats: list[tuple[str, int]]
) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE precious(x)")
    if formats:
        other.execute("CREATE TABLE meta(key TEXT PRIMARY KEY, value)")
        other.executemany("INSERT INTO meta VALUES (?, ?)", formats)
    other.commit()
    with pytest.raises(DataError, match="is no online store"):
        SqliteStore(path)
    with pytest.raises(DataError, match=r"is no online store|has format"):
        SqliteReader(path)
    assert other.execute("SELECT count(*) FROM precious").fetchone() == (0,)
    other.close()


def test_writer_that_waits_too_long_may_try_again(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "_BUSY_SECONDS", 0.01)
    other = SqliteStore(path)
    with store.transaction() as tx:
        tx.put(VIEW, ["u1"], [1], [b"s"])
        with pytest.raises(StoreConflict, match="another writer has held"), other.transaction():
            pass
    put(other, VIEW, "u2")
    other.close()


def test_readers_do_not_wait_for_a_writer(store: SqliteStore) -> None:
    put(store, VIEW, "u1")
    reader = store.reader()
    with store.transaction() as tx:
        tx.drop_view(VIEW)
        assert reader.rows(VIEW, ["u1"]) != [None]
    assert reader.rows(VIEW, ["u1"]) == [None]
    reader.close()


def test_log_of_changes_is_bounded_in_keys(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_changes, "LOG_KEYS", 10)
    reader = store.reader()
    revs = []
    for number in range(8):
        put(store, VIEW, f"a{number}", f"b{number}")
        revs.append(reader.changes(VIEW, 0).rev)
    # 16 keys were logged, of which 10 are kept: those of the last five transactions.
    assert [reader.changes(VIEW, rev).keys is None for rev in revs] == [True, True, *[False] * 6]
    assert reader.changes(VIEW, revs[2]).keys == [f"{name}{n}" for n in range(3, 8) for name in "ab"]
    count = sqlite3.connect(store._path).execute("SELECT count(*) FROM changes").fetchone()
    assert count == (5,)
    put(store, OTHER, *map(str, range(11)))  # one transaction that is more than the log
    assert reader.changes(OTHER, revs[-1]).keys is None
    assert reader.changes(VIEW, revs[-1]).keys == []
    with store.transaction() as tx:
        tx.put_items(StoredItem(str(number), 1, None) for number in range(11))
    rev, items = reader.items_changed(revs[-1])
    assert len(items) == 11
    assert reader.items_changed(rev) == (rev, [])
    reader.close()


def test_event_ids_move_from_runs_to_buckets(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_seen, "BUCKET_IDS", 100)
    other = SqliteStore(path)
    digests = random_digests(930)
    digests[7] = digests[8][1:] + digests[9][:1]  # one that two neighbours would spell in a sorted bucket
    for begin in range(0, 930, 30):
        writer = store if begin % 60 else other
        part = digests[begin : begin + 30]
        with writer.transaction() as tx:
            assert tx.register([*part, part[0]], [1] * 31, [*range(begin, begin + 30), 0]) == [True] * 30 + [begin == 0]
    for writer in (store, other, SqliteStore(path)):
        with writer.transaction() as tx:
            assert tx.register(digests, [1] * 930, range(930)) == [True] * 930
            assert tx.register(digests, [2] * 930, range(930)) == [False] * 930
    tables = sqlite3.connect(path)
    assert tables.execute("SELECT sum(count), count(*) FROM seen_buckets").fetchone() == (840, 7)  # 7 of 4 runs of 30
    assert tables.execute("SELECT sum(count) FROM seen_runs").fetchone() == (90,)
    other.close()


def test_failed_transaction_forgets_its_event_ids(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_seen, "BUCKET_IDS", 10)
    known, lost = random_digests(8), random_digests(8, seed=2)
    with store.transaction() as tx:
        tx.register(known, [0] * 8, range(8))

    def fail() -> None:
        with store.transaction() as tx:
            assert all(tx.register(lost, [0] * 8, range(8)))  # which makes a bucket of both
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.transaction() as tx:
        assert tx.register(lost + known, [1] * 16, range(16)) == [True] * 8 + [False] * 8


def test_old_event_ids_are_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_seen, "BUCKET_IDS", 10)
    now = [0]
    store, other = SqliteStore(path, lambda: now[0]), SqliteStore(path)
    digests = random_digests(25)
    for at, begin, end in [(100, 0, 10), (200, 10, 15), (300, 15, 18), (400, 18, 25)]:
        now[0] = at  # a bucket at 100; then 15 ids, of which ten and more make a bucket at 400
        with store.transaction() as tx:
            tx.register(digests[begin:end], [0] * (end - begin), range(begin, end))
            tx.correct(digests[begin : begin + 1])
    with other.transaction() as tx:
        assert tx.register(digests[:1], [9], [9]) == [False]
    with store.transaction() as tx:
        assert tx.forget_seen(100) == 0
        assert tx.forget_seen(101) == 10
        assert tx.corrected(digests) == {digests[10], digests[15], digests[18]}
        assert tx.forget_seen(301) == 0  # its bucket has ids of 400 as well
        assert tx.register(digests[10:], [9] * 15, [9] * 15) == [False] * 15
    with other.transaction() as tx:
        assert tx.register(digests[:10], [9] * 10, [9] * 10) == [True] * 10
    store.close()
    other.close()


def test_a_filter_passes_all_that_it_has_and_few_others() -> None:
    filters = SeenFilters()
    held = [random_digests(sqlite_seen.BUCKET_IDS, seed) for seed in (1, 2)]
    for bucket, digests in enumerate(held):
        filters.add(bucket, make_filter(b"".join(digests)))
    for bucket, digests in enumerate(held):
        passed = {number for number, own in filters.candidates(b"".join(digests[:5000])) if own == bucket}
        assert passed == set(range(5000))
    # Expected: 20 000 × 2 buckets × about 1/1500 = 27.
    assert len(filters.candidates(b"".join(random_digests(20_000, seed=3)))) < 100
    filters.keep([1])
    assert {bucket for _, bucket in filters.candidates(b"".join(held[1][:100]))} == {1}


def test_threads_share_one_writer(store: SqliteStore) -> None:
    def write(name: str) -> None:
        for number in range(20):
            put(store, VIEW, f"{name}{number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = store.reader()
    assert len(list(reader.all_rows(VIEW))) == 40
    reader.close()
