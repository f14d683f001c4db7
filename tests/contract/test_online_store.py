"""What every online store does, whatever holds its rows: SQLite, memory, a Redis server and a Redis cluster."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastemaker.errors import DataError
from tastemaker.features.keys import join_key
from tastemaker.features.stores.opening import open_online_reader, open_online_store
from tastemaker.features.stores.protocol import (
    Changes,
    OnlineStore,
    Row,
    StoreConflict,
    StoredItem,
    StoreReader,
    WriterFenced,
)

VIEW, OTHER = "user@0123", "user@4567"
TOPIC = "events"
WEIRD = ["", "nul\0nul", "a\x1fb", "\x1besc", "üñí😀", "{tag}", "*?[x]\\^", "x" * 256, "u:1:2", "'\";--", "\\u0000"]


@pytest.fixture
def store(location: Path | str) -> Iterator[OnlineStore]:
    opened = open_online_store(location)
    yield opened
    opened.close()


@pytest.fixture
def reader(store: OnlineStore, location: Path | str) -> Iterator[StoreReader]:
    opened = open_online_reader(location)
    yield opened
    opened.close()


def put(store: OnlineStore, view: str, **rows: tuple[int, bytes]) -> None:
    with store.transaction() as tx:
        tx.put(view, list(rows), [at for at, _ in rows.values()], [state for _, state in rows.values()])


def pairs(reader: StoreReader, view: str) -> dict[str, bytes]:
    return {key: row.state for key, row in reader.all_rows(view)}


# Rows


def test_rows_come_back_in_the_order_asked_for(store: OnlineStore, reader: StoreReader) -> None:
    put(store, VIEW, u1=(5, b"one"), u2=(-6, b""))
    assert reader.rows(VIEW, ["u2", "nobody", "u1", "u2"]) == [Row(-6, b""), None, Row(5, b"one"), Row(-6, b"")]
    assert reader.rows(OTHER, ["u1"]) == [None]


def test_a_transaction_reads_what_it_writes(store: OnlineStore) -> None:
    with store.transaction() as tx:
        assert tx.get(VIEW, ["u1"]) == [None]
        tx.put(VIEW, ["u1", "u2"], [1, 1], [b"a", b"b"])
        assert tx.get(VIEW, ["u2", "u3", "u1"]) == [b"b", None, b"a"]
        tx.delete(VIEW, ["u1"])
        tx.put_newer(VIEW, ["u2", "u3"], [0, 0], [b"older", b"new"])
        assert tx.get(VIEW, ["u1", "u2", "u3"]) == [None, b"b", b"new"]
        tx.drop_view(VIEW)
        assert tx.get(VIEW, ["u2"]) == [None]
        tx.put(VIEW, ["u4"], [1], [b"d"])
    with store.transaction() as tx:
        assert tx.get(VIEW, ["u1", "u2", "u3", "u4"]) == [None, None, None, b"d"]


def test_strange_keys_are_rows_of_their_own(store: OnlineStore, reader: StoreReader) -> None:
    keys = [join_key(name) for name in WEIRD] + [join_key((first, second)) for first in WEIRD for second in WEIRD]
    states = [str(number).encode() for number in range(len(keys))]
    with store.transaction() as tx:
        tx.put(VIEW, keys, [1] * len(keys), states)
        assert tx.get(VIEW, keys) == states
    assert [row and row.state for row in reader.rows(VIEW, keys)] == states
    assert pairs(reader, VIEW) == dict(zip(keys, states, strict=True))
    for first in WEIRD:
        expected = sorted(join_key((first, second)) for second in WEIRD)
        assert [key for key, _ in reader.scan(VIEW, first)] == expected


def test_a_nul_that_nobody_escaped_is_part_of_a_key(store: OnlineStore, reader: StoreReader) -> None:
    put(store, VIEW, **{"a\0b": (1, b"long"), "a": (1, b"short")})
    assert reader.rows(VIEW, ["a\0b", "a"]) == [Row(1, b"long"), Row(1, b"short")]


def test_huge_rows_come_back(store: OnlineStore, reader: StoreReader) -> None:
    state = bytes(range(256)) * (1 << 16)  # 16 MiB
    put(store, VIEW, u1=(1, state), **{"u\x1fi": (2, state)})
    assert reader.rows(VIEW, ["u1"]) == [Row(1, state)]
    assert reader.scan(VIEW, "u") == [("u\x1fi", Row(2, state))]


def test_scan_finds_the_keys_of_one_first_id_only(store: OnlineStore, reader: StoreReader) -> None:
    keys = [("u1", "i2"), ("u1", "i1"), ("u10", "i3"), ("u", "i4"), ("u1", "i1", "x")]
    with store.transaction() as tx:
        tx.put(VIEW, ["u1", *map(join_key, keys)], range(6), [b"s"] * 6)
    found = [join_key(key) for key in (("u1", "i1"), ("u1", "i1", "x"), ("u1", "i2"))]
    assert [key for key, _ in reader.scan(VIEW, "u1")] == found
    assert reader.scan(VIEW, "nobody") == reader.scan("view@none", "u1") == []


def test_nothing_asked_is_nothing_answered(store: OnlineStore, reader: StoreReader) -> None:
    with store.transaction() as tx:
        assert tx.get(VIEW, []) == tx.register([], [], []) == []
        assert tx.corrected([]) == set()
        tx.put(VIEW, [], [], [])
        tx.put_newer(VIEW, [], [], [])
        tx.delete(VIEW, [])
        tx.correct([])
        tx.put_items([])
        tx.put_labels({})
        tx.advance(TOPIC, {})
        tx.drop_view("view@none")
        assert tx.delete_entity("view@none", "u1") == 0
    store.claim(TOPIC, [])
    assert reader.rows(VIEW, []) == list(reader.all_rows(VIEW)) == []
    assert reader.labels([]) == reader.positions(TOPIC) == {}
    assert reader.items_changed(0)[1] == []
    assert reader.get_meta("none") is None


def test_size_counts_the_rows_of_one_view_alone(store: OnlineStore, reader: StoreReader) -> None:
    assert reader.size(VIEW) == (0, None)
    put(store, VIEW, u1=(5, b"one"), u2=(-6, b""))
    put(store, OTHER, u1=(99, b"other"))
    with store.transaction() as tx:
        tx.put(VIEW, ["u1\x1fi1"], [7], [b"pair"])
    assert reader.size(VIEW) == (3, 7)  # the newest of 5, -6 and 7


def test_many_rows_in_one_transaction(store: OnlineStore, reader: StoreReader) -> None:
    keys = [f"u{number}" for number in range(5000)] + [f"u\x1fi{number}" for number in range(1500)]
    with store.transaction() as tx:
        tx.put(VIEW, keys, range(len(keys)), [key.encode() for key in keys])
    assert pairs(reader, VIEW) == {key: key.encode() for key in keys}
    assert [row and row.event_us for row in reader.rows(VIEW, keys)] == list(range(len(keys)))


def test_older_row_never_replaces_a_newer_one(store: OnlineStore, reader: StoreReader) -> None:
    keys = ["u1", "u\x1fi"]
    for at, state, expected in [(-5, b"a", b"a"), (-6, b"b", b"a"), (-5, b"c", b"c"), (3, b"d", b"d"), (2, b"e", b"d")]:
        with store.transaction() as tx:
            tx.put_newer(VIEW, keys, [at, at], [state, state])
        assert [row and row.state for row in reader.rows(VIEW, keys)] == [expected, expected]
    with store.transaction() as tx:  # several of one key in a call: as if one after the other
        tx.put_newer(VIEW, ["u2"] * 3, [1, 3, 2], [b"1", b"3", b"2"])
    assert reader.rows(VIEW, ["u2"]) == [Row(3, b"3")]


def test_deleted_rows_are_gone_and_the_others_stay(store: OnlineStore, reader: StoreReader) -> None:
    for view in (VIEW, OTHER):
        put(store, view, u1=(1, b"a"), u2=(1, b"b"), **{"u1\x1fi1": (1, b"c"), "u1\x1fi2": (1, b"d")})
    with store.transaction() as tx:
        tx.delete(VIEW, ["u2", "u1\x1fi2", "nobody"])
    assert pairs(reader, VIEW) == {"u1": b"a", "u1\x1fi1": b"c"}
    with store.transaction() as tx:
        tx.drop_view(VIEW)
    assert pairs(reader, VIEW) == {}
    assert len(pairs(reader, OTHER)) == 4


def test_deleted_entity_is_gone_with_all_its_pairs(store: OnlineStore, reader: StoreReader) -> None:
    keys = [join_key(key) for key in ("u\0", ("u\0", "i1"), ("u\0", "i2"), "u", ("u", "i1"), ("i1", "u\0"))]
    with store.transaction() as tx:
        tx.put(VIEW, keys, [1] * 6, [b"s"] * 6)
    rev = reader.changes(VIEW, 0).rev
    with store.transaction() as tx:
        assert tx.delete_entity(VIEW, "u\0") == 3
        assert tx.delete_entity(VIEW, "nobody") == 0
    assert pairs(reader, VIEW).keys() == set(keys[3:])
    assert sorted(reader.changes(VIEW, rev).keys or []) == sorted(keys[:3])


# Transactions and writers


def test_a_failed_transaction_leaves_nothing(store: OnlineStore, reader: StoreReader) -> None:
    put(store, VIEW, u1=(1, b"a"))
    rev = reader.changes(VIEW, 0).rev

    def fail() -> None:
        with store.transaction() as tx:
            tx.put(VIEW, ["u1", "u2"], [2, 2], [b"b", b"b"])
            tx.drop_view(OTHER)
            tx.advance(TOPIC, {0: 7})
            tx.put_items([StoredItem("i1", 1, b"{}")])
            tx.set_meta("key", "value")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert pairs(reader, VIEW) == {"u1": b"a"}
    assert reader.positions(TOPIC) == {}
    assert reader.items_changed(0)[1] == []
    assert reader.get_meta("key") is None
    assert reader.changes(VIEW, rev) == Changes(rev, [])
    put(store, VIEW, u1=(3, b"c"))  # and the store goes on
    assert reader.changes(VIEW, rev).keys == ["u1"]


def test_positions_only_move_forward_and_rewind_sets_them(store: OnlineStore, reader: StoreReader) -> None:
    with store.transaction() as tx:
        tx.advance(TOPIC, {0: 5, 1: 2})
        tx.advance("items", {0: 9})
        assert tx.positions(TOPIC) == {0: 5, 1: 2}
    with store.transaction() as tx:
        tx.advance(TOPIC, {0: 4, 2: 0, 1: 3})
    assert reader.positions(TOPIC) == {0: 5, 1: 3, 2: 0}
    with store.transaction() as tx:
        tx.rewind(TOPIC, {0: 1})
        tx.advance(TOPIC, {1: 1})
        assert tx.positions(TOPIC) == {0: 1, 1: 1}
    assert reader.positions(TOPIC) == {0: 1, 1: 1}
    assert reader.positions("items") == {0: 9}


def test_claimed_partition_fences_who_had_it(location: Path | str, store: OnlineStore, reader: StoreReader) -> None:
    store.claim(TOPIC, [0, 1])
    other = open_online_store(location)
    other.claim(TOPIC, [1])

    def work_on(own: OnlineStore, partition: int, key: str) -> None:
        with own.transaction() as tx:
            tx.put(VIEW, [key], [1], [b"s"])
            tx.advance(TOPIC, {partition: 1})

    work_on(store, 0, "mine")
    with pytest.raises(WriterFenced, match="partition 1 of events"):
        work_on(store, 1, "zombie")
    with pytest.raises(WriterFenced), store.transaction() as tx:
        tx.rewind(TOPIC, {1: 0})
    work_on(other, 1, "successor")
    assert pairs(reader, VIEW).keys() == {"mine", "successor"}
    assert reader.positions(TOPIC) == {0: 1, 1: 1}
    store.claim(TOPIC, [1])  # and back
    work_on(store, 1, "again")
    with pytest.raises(WriterFenced):
        work_on(other, 1, "zombie")
    other.close()


def test_who_never_claimed_is_fenced_by_who_did(location: Path | str, store: OnlineStore) -> None:
    with store.transaction() as tx:
        tx.advance(TOPIC, {0: 1})  # nobody has: a build of the whole state
    other = open_online_store(location)
    other.claim(TOPIC, [0])
    with pytest.raises(WriterFenced), store.transaction() as tx:
        tx.advance(TOPIC, {0: 2})
    other.close()


def test_two_writers_lose_no_update_of_a_shared_row(location: Path | str, store: OnlineStore) -> None:
    rounds = 25

    def count(key: str) -> None:
        own = open_online_store(location)
        done = 0
        while done < rounds:
            try:
                with own.transaction() as tx:
                    (state,) = tx.get(VIEW, [key])
                    tx.put(VIEW, [key], [1], [str(int(state or 0) + 1).encode()])
                done += 1
            except StoreConflict:
                continue  # nothing was written: the transaction has one row
        own.close()

    threads = [threading.Thread(target=count, args=(key,)) for key in ("i1", "i1", "u\x1fi", "u\x1fi")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.transaction() as tx:
        assert tx.get(VIEW, ["i1", "u\x1fi"]) == [str(2 * rounds).encode()] * 2


def test_rows_kept_across_transactions_lose_no_update(location: Path | str, store: OnlineStore) -> None:
    """As the worker does: keep what was written, drop what others changed, all of it after a failure."""
    rounds = 25

    def count() -> None:
        own = open_online_store(location)
        kept: dict[str, int] = {}
        done = 0
        while done < rounds:
            try:
                with own.transaction() as tx:
                    foreign = tx.foreign_changes()
                    if foreign is None:
                        kept.clear()
                    for key in (foreign or {}).get(VIEW, []):
                        kept.pop(key, None)
                    if "i1" not in kept:
                        kept["i1"] = int(tx.get(VIEW, ["i1"])[0] or 0)
                    tx.put(VIEW, ["i1"], [1], [str(kept["i1"] + 1).encode()])
                kept["i1"] += 1
                done += 1
            except StoreConflict:
                kept.clear()
        own.close()

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.transaction() as tx:
        assert tx.get(VIEW, ["i1"]) == [str(2 * rounds).encode()]


def test_foreign_changes_are_those_of_others(location: Path | str, store: OnlineStore) -> None:
    other = open_online_store(location)
    with store.transaction() as tx:
        assert tx.foreign_changes() is None  # the first transaction
        tx.get(VIEW, ["u1"])
        tx.put(VIEW, ["u1"], [1], [b"a"])
    with store.transaction() as tx:
        tx.foreign_changes()
    put(store, VIEW, u1=(2, b"b"))
    with store.transaction() as tx:
        assert tx.foreign_changes() == {}
    put(other, VIEW, u2=(1, b"c"), u3=(1, b"c"))
    with other.transaction() as tx:
        tx.delete(VIEW, ["u1"])
    with store.transaction() as tx:
        foreign = tx.foreign_changes()
        assert foreign is not None
        assert sorted(foreign[VIEW]) == ["u1", "u2", "u3"]
    with store.transaction() as tx:
        assert tx.foreign_changes() == {}
    with other.transaction() as tx:
        tx.drop_view(VIEW)
    with store.transaction() as tx:
        assert tx.foreign_changes() is None
    other.close()


# Event ids


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_first_place_of_an_event_id_is_first_for_ever(store: OnlineStore) -> None:
    with store.transaction() as tx:
        assert tx.register([digest(1), digest(2), digest(1)], [0, 0, 1], [10, 11, 0]) == [True, True, False]
    with store.transaction() as tx:  # delivered again, and sent again by the producer
        assert tx.register([digest(1), digest(2), digest(1)], [0, 0, 1], [10, 11, 0]) == [True, True, False]
        assert tx.register([digest(1)], [0], [12]) == [False]
        assert tx.register([digest(2), digest(3)], [1, 1 << 20], [11, 1 << 60]) == [False, True]
        assert tx.register([digest(3)], [1 << 20], [1 << 60]) == [True]


def test_event_ids_are_known_to_every_writer(location: Path | str, store: OnlineStore) -> None:
    other = open_online_store(location)
    for number in range(3):
        with store.transaction() as tx:
            assert tx.register([digest(number)], [0], [number]) == [True]
        with other.transaction() as tx:
            assert tx.register([digest(number), digest(100 + number)], [1, 1], [0, number]) == [False, True]
        with store.transaction() as tx:
            assert tx.register([digest(100 + number)], [0], [0]) == [False]
    other.close()


def test_many_event_ids_are_remembered(store: OnlineStore) -> None:
    digests = [digest(number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)) for number in range(6000)]
    offsets = range(len(digests))
    with store.transaction() as tx:
        assert all(tx.register(digests, [3] * 6000, offsets))
    with store.transaction() as tx:
        assert all(tx.register(digests, [3] * 6000, offsets))
        assert not any(tx.register(digests, [4] * 6000, offsets))


def test_corrected_event_ids_are_known(store: OnlineStore) -> None:
    with store.transaction() as tx:
        assert tx.corrected([digest(1)]) == set()
        tx.correct([digest(1), digest(2), digest(1)])
    with store.transaction() as tx:
        tx.correct([digest(2)])
        assert tx.corrected([digest(2), digest(3), digest(1)]) == {digest(1), digest(2)}


# Changes, items, labels, metadata


def test_changes_are_the_keys_since_a_revision(store: OnlineStore, reader: StoreReader) -> None:
    put(store, VIEW, u1=(1, b"a"))
    first = reader.changes(VIEW, 0)
    assert first.keys is None
    assert reader.changes(VIEW, first.rev) == Changes(first.rev, [])
    put(store, VIEW, u2=(1, b"b"), u3=(1, b"c"))
    put(store, OTHER, u4=(1, b"d"))
    with store.transaction() as tx:
        tx.put(VIEW, ["u2"], [2], [b"e"])
        tx.delete(VIEW, ["u1"])
    second = reader.changes(VIEW, first.rev)
    assert sorted(second.keys or []) == ["u1", "u2", "u3"]
    assert reader.changes(VIEW, second.rev).keys == []
    with store.transaction() as tx:
        tx.drop_view(VIEW)
    third = reader.changes(VIEW, second.rev)
    assert third.keys is None
    assert reader.changes(VIEW, third.rev).keys == []


def test_items_are_told_by_revision_and_never_go_back(store: OnlineStore, reader: StoreReader) -> None:
    with store.transaction() as tx:
        tx.put_items([StoredItem("i1", 5, b"one"), StoredItem("i2", 5, None), StoredItem("ü\0", -5, b"")])
    rev, items = reader.items_changed(0)
    assert sorted(items) == [("i1", 5, b"one"), ("i2", 5, None), ("ü\0", -5, b"")]
    assert reader.items_changed(rev) == (rev, [])
    with store.transaction() as tx:
        tx.put_items([StoredItem("i1", 4, b"older"), StoredItem("i2", 5, b"back"), StoredItem("i3", 1, b"new")])
    with store.transaction() as tx:
        tx.put_items([StoredItem("i1", 6, None), StoredItem("i1", 5, b"x")])
    later, items = reader.items_changed(rev)
    assert sorted(items) == [("i1", 6, None), ("i2", 5, b"back"), ("i3", 1, b"new")]
    assert reader.items_changed(later) == (later, [])


def test_many_items_come_back(store: OnlineStore, reader: StoreReader) -> None:
    items = [StoredItem(f"i{number}", number, f"{number}".encode()) for number in range(2500)]
    with store.transaction() as tx:
        tx.put_items(items)
    assert sorted(reader.items_changed(0)[1]) == sorted(items)


def test_labels_and_metadata_are_texts(store: OnlineStore, reader: StoreReader) -> None:
    with store.transaction() as tx:
        tx.put_labels({-(1 << 62): "low", 7: "", 1 << 62: "ü"})
        tx.set_meta("state_hash", "a")
        assert tx.get_meta("state_hash") == "a"
        tx.set_meta("state_hash", "b\n\0")
    assert reader.labels([7, 8, -(1 << 62), 1 << 62]) == {-(1 << 62): "low", 7: "", 1 << 62: "ü"}
    assert reader.get_meta("state_hash") == "b\n\0"


# Readers


def test_threads_read_while_a_writer_writes(location: Path | str, store: OnlineStore, reader: StoreReader) -> None:
    """A row is never seen in part; where the store reads as of one moment, neither is a transaction."""
    put(store, VIEW, a=(0, b"0" * 3000), b=(0, b"0" * 3000))
    at_once = not str(location).startswith("redis")
    torn: list[list[Row | None]] = []
    ready, done = threading.Barrier(3), threading.Event()

    def read() -> None:
        ready.wait()
        while not done.is_set():
            rows = reader.rows(VIEW, ["a", "b"])
            states = [set(row.state) if row else set() for row in rows]
            if any(len(state) != 1 for state in states) or (at_once and states[0] != states[1]):
                torn.append(rows)
        reader.close()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    ready.wait()
    for number in range(60):
        state = str(number % 10).encode() * 3000
        put(store, VIEW, a=(number, state), b=(number, state))
    done.set()
    for thread in threads:
        thread.join()
    assert torn == []
    assert reader.rows(VIEW, ["a", "b"]) == [Row(59, b"9" * 3000)] * 2


def test_what_was_committed_is_there_when_opened_again(shared_location: Path | str) -> None:
    first = open_online_store(shared_location)
    first.claim(TOPIC, [0])
    with first.transaction() as tx:
        tx.put(VIEW, ["u1"], [1], [b"a"])
        tx.register([digest(1)], [0], [0])
        tx.correct([digest(2)])
        tx.advance(TOPIC, {0: 1})
    first.close()
    second = open_online_store(shared_location)
    with second.transaction() as tx:
        assert tx.get(VIEW, ["u1"]) == [b"a"]
        assert tx.register([digest(1)], [1], [0]) == [False]
        assert tx.corrected([digest(2)]) == {digest(2)}
        assert tx.positions(TOPIC) == {0: 1}
    reader = second.reader()
    assert reader.rows(VIEW, ["u1"]) == [Row(1, b"a")]
    reader.close()
    second.close()


def test_no_store_at_a_location_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no online store at"):
        open_online_reader(tmp_path / "none.sqlite")
    with pytest.raises(DataError, match="no online store memory:none"):
        open_online_reader("memory:none")
    with pytest.raises(DataError, match="no online store speaks 'http'"):
        open_online_store("http://127.0.0.1")
