"""What only Redis does: forgetting by time, bounded streams, and rows that workers change side by side."""

from collections.abc import Callable

import pytest

from tastemaker.errors import DataError
from tastemaker.features.stores import redis_log, redis_seen, redis_transaction
from tastemaker.features.stores.opening import open_online_reader, open_online_store
from tastemaker.features.stores.protocol import StoreConflict, StoredItem
from tastemaker.features.stores.redis import RedisStore
from tastemaker.features.stores.redis_link import RedisLink

VIEW = "user@1"


@pytest.fixture(params=["redis", "cluster"])
def location(request: pytest.FixtureRequest, redis_location: Callable[[str], str]) -> str:
    return redis_location(request.param)


def test_event_ids_are_forgotten_after_two_periods_and_not_after_one(location: str) -> None:
    now = [10 * redis_seen.PERIOD_US - 1]
    store = RedisStore(location, lambda: now[0])
    digest = b"\x00" * 15 + b"\x01"

    def registered(offset: int) -> bool:
        with store.transaction() as tx:
            (first,) = tx.register([digest], [0], [offset])
            if offset == 0:
                tx.correct([digest])
        return first

    assert registered(0)
    now[0] += 1  # the next period
    assert not registered(1)
    with store.transaction() as tx:
        assert tx.corrected([digest]) == {digest}
        assert tx.forget_seen(now[0]) == 0
    now[0] += redis_seen.PERIOD_US
    assert registered(2)
    with store.transaction() as tx:
        assert tx.corrected([digest]) == set()
    lives = [store._link.ask("PTTL", key) for key in store._link.scan(store._link.prefix + b":s:")]
    assert len(lives) == 2
    assert all(0 < life <= 2 * redis_seen.PERIOD_US // 1000 for life in lives)  # the server drops both by itself
    store.close()


def test_log_of_changes_is_bounded_in_entries(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_log, "LOG_ENTRIES", 4)
    monkeypatch.setattr(redis_log, "LOG_KEYS", 2)
    store = open_online_store(location)
    reader = store.reader()
    revs = []
    for number in range(6):
        with store.transaction() as tx:
            tx.put(VIEW, [f"u{number}"], [1], [b"s"])
        revs.append(reader.changes(VIEW, 0).rev)
    # Six entries were written, of which the last four are kept.
    assert [reader.changes(VIEW, rev).keys is None for rev in revs] == [True, False, False, False, False, False]
    assert reader.changes(VIEW, revs[1]).keys == ["u2", "u3", "u4", "u5"]
    with store.transaction() as tx:  # three entries
        tx.put(VIEW, list("abcde"), [1] * 5, [b"s"] * 5)
    assert reader.changes(VIEW, revs[-1]).keys == list("abcde")
    assert reader.changes(VIEW, revs[-3]).keys is None
    rev = reader.changes(VIEW, 0).rev
    with store.transaction() as tx:  # five, of which the first is gone at once
        tx.put(VIEW, list("abcdefghij"), [1] * 10, [b"s"] * 10)
    assert reader.changes(VIEW, rev).keys is None
    with store.transaction() as tx:
        tx.put_items(StoredItem(str(number), 1, None) for number in range(11))
    rev, items = reader.items_changed(1)
    assert len(items) == 11
    assert reader.items_changed(rev) == (rev, [])
    assert reader.changes(VIEW, revs[-1] + 1).keys is None  # a revision that this store never had
    store.close()


def test_row_that_another_worker_changed_meanwhile_is_a_conflict(location: str) -> None:
    mine, other = open_online_store(location), open_online_store(location)
    key = "u\x1fi"
    with mine.transaction() as tx:
        tx.put(VIEW, ["u1", "u2", key], [1] * 3, [b"0"] * 3)

    def conflicting(change: Callable[[], None], *, kept: bool, wanted: str) -> None:
        with mine.transaction() as tx:
            if kept:
                tx.foreign_changes()
            else:
                tx.get(VIEW, [wanted])
            change()
            tx.put(VIEW, [wanted], [2], [b"mine"])
            tx.advance("events", {0: 1})

    def write_other() -> None:
        with other.transaction() as tx:
            tx.put(VIEW, ["u1", key], [3] * 2, [b"other"] * 2)

    def delete_other() -> None:
        with other.transaction() as tx:
            tx.delete(VIEW, ["u1", key])

    reader = mine.reader()
    for wanted in ("u1", key):
        for change in (write_other, delete_other):
            for kept in (False, True):
                with mine.transaction() as tx:
                    tx.put(VIEW, ["u1", key], [1] * 2, [b"0"] * 2)
                with pytest.raises(StoreConflict, match="another worker changed 1 rows"):
                    conflicting(change, kept=kept, wanted=wanted)
    assert reader.positions("events") == {}
    conflicting(lambda: None, kept=True, wanted="u2")
    assert reader.rows(VIEW, ["u2"]) == [(2, b"mine")]
    mine.close()
    other.close()


def test_rows_of_a_large_transaction_do_not_wait_in_memory(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_transaction, "_BUFFER_BYTES", 100)
    store = open_online_store(location)
    reader = store.reader()
    with store.transaction() as tx:
        tx.put(VIEW, ["u1"], [1], [b"s" * 200])
        assert reader.rows(VIEW, ["u1"]) == [(1, b"s" * 200)]
        tx.put(VIEW, ["u2"], [1], [b"s"])
        assert reader.rows(VIEW, ["u2"]) == [None]
        assert tx.get(VIEW, ["u1", "u2"]) == [b"s" * 200, b"s"]
        tx.put(VIEW, ["u1"], [2], [b"t"])  # what the transaction itself has written
        rev = reader.changes(VIEW, 0).rev
    assert reader.rows(VIEW, ["u1", "u2"]) == [(2, b"t"), (1, b"s")]
    assert rev == 0  # nobody is told before it is over
    assert reader.changes(VIEW, 0).rev > 0
    store.close()


def test_prefix_keeps_platforms_apart(location: str) -> None:
    first, second = open_online_store(location), open_online_store(location + "2")  # one prefix begins the other
    with second.transaction() as tx:
        tx.put(VIEW, ["u1"], [1], [b"s"])
    with first.transaction() as tx:
        tx.drop_view(VIEW)
        tx.put_labels({1: "a"})
    assert open_online_reader(location + "2").rows(VIEW, ["u1"]) == [(1, b"s")]
    assert second.reader().labels([1]) == {}
    first.close()
    second.close()


def test_a_command_over_two_slots_is_refused_by_this_cluster(redis_location: Callable[[str], str]) -> None:
    """So that the suite would fail if the store sent one."""
    link = RedisLink(redis_location("cluster"))
    node = link._client.get_node_from_key(b"a")
    with pytest.raises(Exception, match=r"CROSSSLOT|hash to the same slot"):
        link._client.get_redis_connection(node).execute_command("MGET", b"a", b"b")
    nodes = {link._client.get_node_from_key(b"%d" % number).name for number in range(100)}
    assert len(nodes) == 2
    link.close()


def test_address_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(DataError, match="cannot be read"):
        open_online_store("redis://127.0.0.1:1/0?no_such_option=1")
