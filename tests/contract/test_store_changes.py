"""What every online store remembers beside rows: event ids, what changed, items, labels, metadata."""

from pathlib import Path

from store_rows import OTHER, VIEW, digest, put

from tastemaker.features.stores.opening import open_online_store
from tastemaker.features.stores.protocol import Changes, OnlineStore, StoredItem, StoreReader


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
