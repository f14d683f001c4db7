"""Exactly once: positions, duplicates and state go together, whatever comes again or breaks in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.events.contract import Event
from tastemaker.events.item import Item
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.stores.memory import MemoryStore
from tastemaker.features.stores.memory_transaction import MemoryTransaction
from tastemaker.features.stores.protocol import StoreConflict, StoreUnavailable
from tastemaker.features.streaming.state import ConsumedEvent, ConsumedItem, FeatureState, WriterFenced
from tastemaker.lake.tables import Lake

START = datetime(2011, 12, 9, 12, tzinfo=UTC)
LATER_US = to_us(START) + 3_600_000_000


def view(name: str, function: str, dtype: str, column: str, n: int = 0) -> ViewPlan:
    feature = FeatureSpec(name=name, dtype=dtype, function=function, column=column, types=("purchase",), n=n, default=0)
    return ViewPlan(
        name=f"by_user_{name}",
        kind="history" if n else "aggregate",
        entities=("user",),
        join_keys=("user_id",),
        features=(feature,),
        table="events",
        timestamp_field="occurred_at",
    )


PLAN = FeaturePlan(
    views=(view("bought", "count", "int64", "event_id"), view("items", "last_n", "list[string]", "item_id", 5))
)


def record(event_id: str, offset: int, partition: int = 0, user: str = "u1") -> ConsumedEvent:
    event = Event(event_id=event_id, type="purchase", user_id=user, item_id=f"i-{event_id}", occurred_at=START)
    return ConsumedEvent(event, partition, offset)


def bought(path: Path, user: str = "u1") -> int:
    reader = FeatureReader(path, PLAN)
    count = reader.row("by_user_bought", user, LATER_US)["bought"]
    assert len(reader.history("by_user_items", user)) == min(count, 5)  # the view lists five
    reader.close()
    return count


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "online.sqlite"


@pytest.fixture
def state(path: Path) -> Iterator[FeatureState]:
    opened = FeatureState.open(path, PLAN)
    yield opened
    opened.close()


def test_apply_answers_who_was_first_within_and_across_batches(path: Path, state: FeatureState) -> None:
    assert state.apply([record("a", 0), record("b", 1), record("a", 2)], {0: 3}) == [True, True, False]
    assert state.apply([record("b", 0, partition=1), record("c", 3)], {0: 4, 1: 1}) == [False, True]
    assert bought(path) == 3
    assert state.positions(names.TOPIC_EVENTS) == {0: 4, 1: 1}


def test_redelivered_records_get_the_first_answer_and_change_nothing(path: Path, state: FeatureState) -> None:
    batch = [record("a", 0), record("b", 1), record("a", 2)]
    first = state.apply(batch, {0: 3})
    assert state.apply(batch, {0: 3}) == first
    # Cut elsewhere, with something new behind it.
    assert state.apply([*batch[1:], record("c", 3)], {0: 4}) == [True, False, True]
    assert bought(path) == 3


def test_redelivery_after_a_restart_counts_nothing_twice(path: Path, state: FeatureState) -> None:
    state.apply([record("a", 0), record("b", 1)], {0: 2})
    state.close()
    again = FeatureState.open(path, PLAN)
    assert again.positions(names.TOPIC_EVENTS) == {0: 2}
    assert again.apply([record("a", 0), record("b", 1), record("c", 2)], {0: 3}) == [True, True, True]
    assert bought(path) == 3
    again.close()


def test_positions_never_go_back(state: FeatureState) -> None:
    state.apply([record("a", 7)], {0: 8})
    state.apply([record("a", 7)], {0: 3})
    assert state.positions(names.TOPIC_EVENTS) == {0: 8}


def test_failed_batch_leaves_nothing_behind(path: Path, state: FeatureState) -> None:
    def fail(answers: list[bool]) -> None:
        assert answers == [True, True]
        raise OSError("the lake's disk is full")

    state.apply([record("a", 0)], {0: 1})
    with pytest.raises(OSError, match="disk is full"):
        state.apply([record("b", 1), record("c", 2)], {0: 3}, fail)
    assert bought(path) == 1
    assert state.positions(names.TOPIC_EVENTS) == {0: 1}
    # The same records again: first occurrences still, and counted once although they were merged already.
    assert state.apply([record("b", 1), record("c", 2)], {0: 3}) == [True, True]
    assert bought(path) == 3


def test_place_that_stands_twice_in_a_batch_counts_once(path: Path, state: FeatureState) -> None:
    assert state.apply([record("a", 0), record("a", 0), record("b", 1)], {0: 2}) == [True, True, True]
    assert bought(path) == 2


def test_empty_batch_moves_positions(state: FeatureState) -> None:
    assert state.apply([], {0: 7}) == []
    assert state.positions(names.TOPIC_EVENTS) == {0: 7}


def test_superseded_writer_is_fenced_and_its_batch_is_not_applied(path: Path, state: FeatureState) -> None:
    state.claim(names.TOPIC_EVENTS, [0, 1])
    state.apply([record("a", 0)], {0: 1})
    successor = FeatureState.open(path, PLAN)
    successor.claim(names.TOPIC_EVENTS, [0])
    with pytest.raises(WriterFenced, match="stop working on it"):
        state.apply([record("b", 1)], {0: 2})
    assert successor.apply([record("b", 1)], {0: 2}) == [True]
    assert state.apply([record("c", 0, partition=1)], {1: 1}) == [True]  # the other partition is still its own
    assert bought(path) == 3
    successor.close()


@pytest.mark.parametrize("location", ["sqlite", "memory:two-writers"])
def test_two_writers_share_a_row_and_neither_overwrites_the_other(tmp_path: Path, location: str) -> None:
    where = tmp_path / "shared.sqlite" if location == "sqlite" else location
    first, second = FeatureState.open(where, PLAN), FeatureState.open(where, PLAN)
    first.claim(names.TOPIC_EVENTS, [0])
    second.claim(names.TOPIC_EVENTS, [1])
    for number in range(6):  # each keeps the row in memory, and must notice what the other one wrote
        writer, partition = (first, 0) if number % 2 else (second, 1)
        writer.apply([record(f"e{number}", number, partition)], {partition: number + 1})
    reader = FeatureReader(where, PLAN)
    assert reader.row("by_user_bought", "u1", LATER_US) == {"bought": 6}
    # Of one moment, so that the newest are those with the largest ids; the view lists five.
    assert [item for item, _, _ in reader.history("by_user_items", "u1")] == ["i-e5", "i-e4", "i-e3", "i-e2", "i-e1"]
    reader.close()
    first.close()
    second.close()


class ConflictingStore(MemoryStore):
    """Finds a conflict at the end of some transactions."""

    conflicts = 0
    error: type[StoreConflict] = StoreConflict

    @contextmanager
    def transaction(self) -> Iterator[MemoryTransaction]:
        with super().transaction() as running:
            yield running
            if self.conflicts:
                self.conflicts -= 1
                raise self.error("another worker was faster")


def conflicting(name: str) -> tuple[ConflictingStore, FeatureState, list[float]]:
    pauses: list[float] = []
    store = ConflictingStore(name)
    return store, FeatureState(store, PLAN, pause=pauses.append), pauses


def test_batch_is_done_again_after_a_conflict_and_counts_once() -> None:
    store, state, pauses = conflicting("conflicts")
    answers: list[list[bool]] = []
    store.conflicts = 2
    assert state.apply([record("a", 0)], {0: 1}, answers.append) == [True]
    assert answers == [[True]] * 3
    assert pauses == [0.01, 0.02]
    store.conflicts = 1
    state.apply([record("b", 1)], {0: 2})
    reader = FeatureReader(store.reader(), PLAN)
    assert reader.row("by_user_bought", "u1", LATER_US) == {"bought": 2}
    store.conflicts = 1
    state.apply_items([ConsumedItem("i1", None, 1, 0, 0)], {0: 1})
    assert state.positions(names.TOPIC_ITEMS) == {0: 1}


def test_conflicts_without_end_are_raised() -> None:
    store, state, pauses = conflicting("endless")
    store.conflicts = 10_000
    with pytest.raises(StoreConflict, match="faster"):
        state.apply([record("a", 0)], {0: 1})
    assert 10 < sum(pauses) < 30


def test_store_that_is_away_is_reported_at_once() -> None:
    store, state, pauses = conflicting("away")
    store.conflicts, store.error = 1, StoreUnavailable
    with pytest.raises(StoreUnavailable):
        state.apply([record("a", 0)], {0: 1})
    assert pauses == []


def test_event_ids_are_forgotten_by_age() -> None:
    now = [1_000]
    state = FeatureState(MemoryStore("ages", now_us=lambda: now[0]), PLAN)
    state.apply([record("a", 0)], {0: 1})
    now[0] = 2_000
    state.apply([record("b", 1)], {0: 2})
    assert state.prune(2_000) == 1
    assert state.apply([record("a", 2), record("b", 3)], {0: 4}) == [True, False]


def changed(default: float) -> FeaturePlan:
    """The plan with another default in its first view; its second view stays."""
    first = PLAN.views[0]
    feature = replace(first.features[0], default=default)
    return FeaturePlan(views=(replace(first, features=(feature,)), PLAN.views[1]))


def test_new_store_is_empty_until_it_has_what_the_lake_has(path: Path, state: FeatureState, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    shares: list[float] = []
    assert state.is_empty
    state.bootstrap(lake, shares.append)
    assert not state.is_empty
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    state.close()
    assert not FeatureState.open(path, PLAN).is_empty


def test_bootstrap_keeps_the_replaced_views_for_the_releases_that_read_them(
    path: Path, state: FeatureState, tmp_path: Path
) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    state.apply([record("a", 0), record("b", 1)], {0: 2})
    state.close()
    for default in (1.0, 2.0):
        newer = FeatureState.open(path, changed(default))
        newer.bootstrap(lake)  # an empty lake: what is new knows nothing
        newer.bootstrap(lake)  # again, by the same declarations: former views stay
        newer.close()
        new = FeatureReader(path, changed(default))
        assert new.row("by_user_bought", "u1", LATER_US) == {"bought": int(default)}
        new.close()
        if default == 1.0:  # the view as it stood when the declaration changed
            old = FeatureReader(path, PLAN)
            assert old.row("by_user_bought", "u1", LATER_US) == {"bought": 2}
            old.close()
    with pytest.raises(DataError, match="other declarations of by_user_bought"):
        FeatureReader(path, PLAN)  # two changes ago


def test_newest_item_wins_and_a_tombstone_removes(path: Path, state: FeatureState) -> None:
    def item(title: str, updated_us: int, offset: int) -> ConsumedItem:
        return ConsumedItem("i1", Item(item_id="i1", title=title, created_at=START), updated_us, 0, offset)

    reader = FeatureReader(path, PLAN)
    state.apply_items([item("new", 20, 0), item("old", 10, 1)], {0: 2})
    rev, changes = reader.items_changed()
    assert [(item_id, found.title) for item_id, found in changes if found] == [("i1", "new")]
    assert reader.items_changed(rev) == (rev, [])
    state.apply_items([ConsumedItem("i1", None, 30, 0, 2), ConsumedItem("never", None, 1, 0, 3)], {0: 4})
    rev, changes = reader.items_changed(rev)
    assert sorted(changes) == [("i1", None), ("never", None)]
    state.apply_items([item("from before the tombstone", 25, 4)], {0: 5})
    assert reader.items_changed(0)[1] == [("i1", None), ("never", None)]
    assert state.positions(names.TOPIC_ITEMS) == {0: 5}
    reader.close()


def test_changed_names_the_keys_since_a_revision(path: Path, state: FeatureState) -> None:
    reader = FeatureReader(path, PLAN)
    state.apply([record("a", 0), record("b", 1, user="u2")], {0: 2})
    rev, keys = reader.changed("by_user_bought")
    assert sorted(keys) == ["u1", "u2"]
    state.apply([record("c", 2, user="u2"), record("a", 3)], {0: 4})
    later, keys = reader.changed("by_user_bought", rev)
    assert keys == ["u2"]
    assert later > rev
    assert reader.changed("by_user_bought", later) == (later, [])
    reader.close()


def test_reader_says_what_to_do_without_a_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="start the stream worker first"):
        FeatureReader(tmp_path / "none.sqlite", PLAN)


def test_something_else_is_refused_as_a_store(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, but long enough to be read as one" * 20)
    with pytest.raises(DataError, match="is no online store"):
        FeatureState.open(path, PLAN)
    with pytest.raises(DataError, match="is no online store"):
        FeatureReader(path, PLAN)
