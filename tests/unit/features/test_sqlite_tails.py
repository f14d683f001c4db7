"""Rows of an SQLite store that are added to, whatever the bytes are."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tastemaker.features.keys import join_key
from tastemaker.features.stores import sqlite_reader
from tastemaker.features.stores.protocol import Row, ViewSize
from tastemaker.features.stores.sqlite import SqliteStore
from tastemaker.features.stores.sqlite_reader import SqliteReader

VIEW, OTHER = "user@1", "pair@1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "online.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path)
    yield opened
    opened.close()


@pytest.fixture
def reader(store: SqliteStore, path: Path) -> Iterator[SqliteReader]:
    opened = SqliteReader(path)
    yield opened
    opened.close()


def put(store: SqliteStore, view: str = VIEW, **rows: tuple[int, bytes]) -> None:
    with store.transaction() as tx:
        tx.put(view, list(rows), [at for at, _ in rows.values()], [state for _, state in rows.values()])


def append(store: SqliteStore, view: str = VIEW, **rows: tuple[int, bytes]) -> None:
    with store.transaction() as tx:
        tx.append(view, list(rows), [at for at, _ in rows.values()], [state for _, state in rows.values()])


def fold_due(store: SqliteStore) -> list[str]:
    """Fold what is due, as it stands; the keys."""
    folded = []
    with store.transaction() as tx:
        tx.append(VIEW, ["more"], [1], [b"....."])
        for view, keys in tx.due().items():
            tx.fold(view, keys, [state or b"" for state in tx.get(view, keys)])
            folded += keys
    return folded


def stored(path: Path) -> dict[str, bytes]:
    """What the table has, without tails."""
    connection = sqlite3.connect(path)
    found = dict(connection.execute("SELECT key, state FROM online").fetchall())
    connection.close()
    return found


def logged(path: Path) -> int:
    connection = sqlite3.connect(path)
    (found,) = connection.execute("SELECT count(*) FROM tails").fetchone()
    connection.close()
    return int(found)


def test_a_row_is_what_it_was_and_its_tails_behind(store: SqliteStore, reader: SqliteReader, path: Path) -> None:
    put(store, u1=(5, b"base"), u3=(1, b"alone"))
    append(store, u1=(7, b"+one"), u2=(3, b"new"))
    append(store, u1=(6, b"+two"))
    # The newest event is in the first tail; the order of tails is that of the transactions.
    assert reader.rows(VIEW, ["u2", "u1", "u3", "u4"]) == [
        Row(3, b"new"),
        Row(7, b"base+one+two"),
        Row(1, b"alone"),
        None,
    ]
    assert dict(reader.all_rows(VIEW)) == {
        "u1": Row(7, b"base+one+two"),
        "u2": Row(3, b"new"),
        "u3": Row(1, b"alone"),
    }
    assert reader.size(VIEW) == ViewSize(3, 7)
    assert stored(path) == {"u1": b"base", "u3": b"alone"}
    with store.transaction() as tx:
        assert tx.get(VIEW, ["u1", "u2", "u4"]) == [b"base+one+two", b"new", None]


def test_a_transaction_reads_what_it_adds_and_replaces(store: SqliteStore, reader: SqliteReader) -> None:
    with store.transaction() as tx:
        tx.append(VIEW, ["u1", "u2"], [1, 1], [b"a", b"b"])
        tx.append(VIEW, ["u1"], [2], [b"c"])
        assert tx.get(VIEW, ["u1", "u2"]) == [b"ac", b"b"]
        tx.put(VIEW, ["u1"], [3], [b"whole"])
        tx.append(VIEW, ["u1"], [4], [b"d"])
        tx.delete(VIEW, ["u2"])
        assert tx.get(VIEW, ["u1", "u2"]) == [b"wholed", None]
    assert reader.rows(VIEW, ["u1", "u2"]) == [Row(4, b"wholed"), None]


def _delete(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.delete(VIEW, ["u1"])


def _delete_entity(store: SqliteStore) -> None:
    with store.transaction() as tx:
        assert tx.delete_entity(VIEW, "u1") == 1


def _drop(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.drop_view(VIEW)


@pytest.mark.parametrize("gone", [_delete, _delete_entity, _drop])
@pytest.mark.parametrize("with_base", [True, False])
def test_what_is_deleted_has_no_tail(
    store: SqliteStore, reader: SqliteReader, path: Path, gone: Callable[[SqliteStore], None], with_base: bool
) -> None:
    if with_base:
        put(store, u1=(1, b"base"))
    append(store, u1=(2, b"+tail"))
    assert reader.rows(VIEW, ["u1"]) != [None]
    gone(store)
    for one in (reader, SqliteReader(path)):
        assert one.rows(VIEW, ["u1"]) == [None]
        assert list(one.all_rows(VIEW)) == []
        assert one.size(VIEW) == ViewSize(0, None)
    append(store, u1=(3, b"again"))
    for one in (reader, SqliteReader(path)):
        assert one.rows(VIEW, ["u1"]) == [Row(3, b"again")]


def test_pairs_are_found_by_their_first_id_wherever_they_are(store: SqliteStore, reader: SqliteReader) -> None:
    keys = [join_key(("u1", "a")), join_key(("u1", "b")), join_key(("u2", "a")), join_key(("u1\x1f", "a")), "u1"]
    with store.transaction() as tx:
        tx.put(OTHER, keys[:1], [1], [b"base"])
        tx.append(OTHER, keys, [2] * 5, [b"+1", b"b", b"other", b"strange", b"single"])
    assert reader.scan(OTHER, "u1") == [(keys[0], Row(2, b"base+1")), (keys[1], Row(2, b"b"))]
    assert reader.scan(OTHER, "u1\x1f") == [(keys[3], Row(2, b"strange"))]
    with store.transaction() as tx:  # tails that come after the first scan, and those that go
        tx.append(OTHER, [join_key(("u1", "c"))], [3], [b"c"])
        tx.put(OTHER, keys[1:2], [3], [b"whole"])
    assert [row.state for _, row in reader.scan(OTHER, "u1")] == [b"base+1", b"whole", b"c"]
    with store.transaction() as tx:
        assert tx.delete_entity(OTHER, "u1") == 4  # three pairs and the single id
    assert reader.scan(OTHER, "u1") == []
    assert [row.state for _, row in reader.scan(OTHER, "u2")] == [b"other"]


def test_a_rolled_back_transaction_leaves_no_tail(store: SqliteStore, reader: SqliteReader) -> None:
    append(store, u1=(1, b"a"))

    def fail() -> None:
        with store.transaction() as tx:
            tx.append(VIEW, ["u1", "u2"], [2, 2], [b"lost", b"lost"])
            tx.put(VIEW, ["u1"], [2], [b"lost"])
            raise RuntimeError("the batch fails")

    for _ in range(2):
        with pytest.raises(RuntimeError):
            fail()
    with store.transaction() as tx:
        assert tx.get(VIEW, ["u1", "u2"]) == [b"a", None]
    append(store, u1=(2, b"b"))
    assert reader.rows(VIEW, ["u1", "u2"]) == [Row(2, b"ab"), None]


def test_two_writers_see_and_fold_each_others_tails(path: Path) -> None:
    stores = [SqliteStore(path, tail_bytes=2), SqliteStore(path, tail_bytes=2)]
    reader = SqliteReader(path)
    expected = b""
    for number in range(20):
        store = stores[number % 3 % 2]
        append(store, u1=(number, bytes([65 + number])))
        expected += bytes([65 + number])
        if number % 4 == 3:
            fold_due(store)
        assert reader.rows(VIEW, ["u1"]) == [Row(number, expected)]
        with stores[number % 2].transaction() as tx:
            assert tx.get(VIEW, ["u1"]) == [expected]
    for opened in (*stores, reader):
        opened.close()


def test_all_rows_take_their_tails_in_turn_and_the_log_is_cut_off(path: Path) -> None:
    store, reader = SqliteStore(path, tail_bytes=40), SqliteReader(path)
    late = SqliteReader(path)
    assert late.rows(VIEW, ["k000"]) == [None]
    expected: dict[str, bytes] = {}
    folded: set[str] = set()
    for number in range(200):
        key, tail = f"k{number * 37 % 50:03d}", b"%03d" % number
        append(store, **{key: (number + 1, tail)})
        expected[key] = expected.get(key, b"") + tail
        folded.update(fold_due(store))
        expected["more"] = expected.get("more", b"") + b"....."
        assert reader.rows(VIEW, [key])[0].state == expected[key]  # type: ignore[union-attr]
    # In most rounds tails are put behind their rows by the store itself.
    assert folded
    assert stored(path).keys() == expected.keys()
    # Two transactions with 8 bytes each time: what 40 bytes are has been folded many times over.
    assert logged(path) < 60
    for one in (reader, late, SqliteReader(path)):  # one that followed, one that missed nearly all, one that begins
        assert {key: row.state for key, row in one.all_rows(VIEW)} == expected
        one.close()
    store.close()


def test_a_fold_is_no_change_for_those_who_follow(store: SqliteStore, reader: SqliteReader) -> None:
    append(store, u1=(1, b"a"), u2=(1, b"b"))
    rev, keys = reader.changes(VIEW, 0)
    assert keys is None
    with store.transaction() as tx:
        tx.fold(VIEW, ["u1"], tx.get(VIEW, ["u1"]))  # type: ignore[arg-type]
    assert reader.changes(VIEW, rev) == (rev, [])
    assert reader.rows(VIEW, ["u1", "u2"]) == [Row(1, b"a"), Row(1, b"b")]
    append(store, u2=(2, b"+"))
    assert reader.changes(VIEW, rev).keys == ["u2"]


def test_what_the_store_puts_behind_rows_itself_stays_bytes(path: Path) -> None:
    store, reader = SqliteStore(path, tail_bytes=1), SqliteReader(path)
    odd = bytes(range(256)) + b"\x00\xff"
    for number in range(8):  # twice as many as there are rounds until the writer has to fold again
        append(store, u1=(number, odd))
        fold_due(store)
        assert reader.rows(VIEW, ["u1"]) == [Row(number, odd * (number + 1))]
    assert isinstance(stored(path)["u1"], bytes)
    store.close()
    reader.close()


def test_a_fold_keeps_the_time_of_the_newest_event(store: SqliteStore, reader: SqliteReader) -> None:
    put(store, u1=(9, b"base"))
    append(store, u1=(4, b"+late"))
    with store.transaction() as tx:
        tx.fold(VIEW, ["u1"], [b"whole"])
    assert reader.rows(VIEW, ["u1"]) == [Row(9, b"whole")]


def test_a_long_pass_misses_no_row_that_is_folded_meanwhile(
    store: SqliteStore, reader: SqliteReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_reader, "_CHUNK", 3)
    keys = [f"k{number:02d}" for number in range(12)]
    with store.transaction() as tx:
        tx.put(VIEW, keys[::2], [1] * 6, [b"base"] * 6)
        tx.append(VIEW, keys, [2] * 12, [b"+"] * 12)
    found = []
    for key, row in reader.all_rows(VIEW):
        found.append((key, row.state))
        if len(found) == 2:
            with store.transaction() as tx:
                tx.fold(VIEW, keys, [state or b"" for state in tx.get(VIEW, keys)])
    assert found == [(key, b"+" if number % 2 else b"base+") for number, key in enumerate(keys)]
