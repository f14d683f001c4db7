"""What every online store does for writers that work side by side: transactions, positions, claims, conflicts."""

import threading
from pathlib import Path

import pytest
from store_rows import OTHER, TOPIC, VIEW, pairs, put

from tastemaker.features.stores.opening import open_online_store
from tastemaker.features.stores.protocol import (
    Changes,
    OnlineStore,
    StoreConflict,
    StoredItem,
    StoreReader,
    WriterFenced,
)


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
