"""What every online store does with rows: SQLite, memory, a Redis server and a Redis cluster."""

import threading
from pathlib import Path

import pytest
from store_rows import OTHER, TOPIC, VIEW, digest, pairs, put

from tastemaker.errors import DataError
from tastemaker.features.keys import join_key
from tastemaker.features.stores.opening import open_online_reader, open_online_store
from tastemaker.features.stores.protocol import GlancingReader, OnlineStore, Row, StoreReader
from tastemaker.features.stores.tailed import as_tailed

WEIRD = ["", "nul\0nul", "a\x1fb", "\x1besc", "üñí😀", "{tag}", "*?[x]\\^", "x" * 256, "u:1:2", "'\";--", "\\u0000"]


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


def test_one_look_finds_what_rows_and_scans_find_also_after_more_was_written(
    store: OnlineStore, reader: StoreReader
) -> None:
    if not isinstance(reader, GlancingReader):
        pytest.skip("this store is read in one look by no means of its own")
    keys = [join_key(name) for name in WEIRD]
    rows = [(view, key) for view in (VIEW, OTHER, "view@none") for key in (*keys, "nobody")]
    scans = [(view, name) for view in (VIEW, "view@none") for name in (*WEIRD, "nobody")]

    def compare() -> int:
        found, listed = reader.glance(rows, scans)
        assert found == [reader.rows(view, [key])[0] for view, key in rows]
        assert listed == [reader.scan(view, name) for view, name in scans]
        return sum(row is not None for row in found) + sum(map(len, listed))

    assert compare() == 0
    several = [join_key((first, second)) for first in WEIRD for second in WEIRD[:3]]
    with store.transaction() as tx:
        tx.put(VIEW, [*keys, *several], [1] * len([*keys, *several]), [b"x" * 8] * len([*keys, *several]))
    assert compare() == compare() == len(keys) + len(several)
    with store.transaction() as tx:
        tailed = as_tailed(tx)
        if tailed is not None:
            tailed.append(VIEW, [keys[3], several[0]], [7, 7], [b"y" * 8] * 2)
            tailed.append(OTHER, [keys[4], join_key((WEIRD[4], "new"))], [8, 8], [b"z" * 8] * 2)
        else:
            tx.put(OTHER, [keys[4]], [8], [b"z" * 8])
    assert compare() == len(keys) + len(several) + 1
    with store.transaction() as tx:
        tx.delete(VIEW, keys[:2])
    assert compare() == len(keys) + len(several) - 1


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
