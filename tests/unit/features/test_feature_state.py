"""Exactly once: positions, duplicates and state go together, whatever comes again or breaks in between."""

import sqlite3
from collections.abc import Iterator
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
from tastemaker.features.reader import FeatureReader
from tastemaker.features.state import ConsumedEvent, ConsumedItem, FeatureState, WriterFenced
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
    assert len(reader.history("by_user_items", user)) == min(count, 6)
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


def test_failed_batch_leaves_nothing_behind(path: Path, state: FeatureState, monkeypatch: pytest.MonkeyPatch) -> None:
    state.apply([record("a", 0)], {0: 1})
    with monkeypatch.context() as broken:
        broken.setattr(state, "_advance", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("disk is full")))
        with pytest.raises(sqlite3.OperationalError):
            state.apply([record("b", 1), record("c", 2)], {0: 3})
    assert bought(path) == 1
    assert state.positions(names.TOPIC_EVENTS) == {0: 1}
    # The same records again: first occurrences still, and counted once although they were in memory already.
    assert state.apply([record("b", 1), record("c", 2)], {0: 3}) == [True, True]
    assert bought(path) == 3


def test_superseded_writer_is_fenced_and_its_batch_is_not_applied(path: Path, state: FeatureState) -> None:
    state.apply([record("a", 0)], {0: 1})
    successor = FeatureState.open(path, PLAN)
    with pytest.raises(WriterFenced, match="stop this worker"):
        state.apply([record("b", 1)], {0: 2})
    with pytest.raises(WriterFenced):
        state.apply_items([], {0: 1})
    assert successor.apply([record("b", 1)], {0: 2}) == [True]
    assert bought(path) == 2
    successor.close()


def changed(default: float) -> FeaturePlan:
    """The plan with another default in its first view; its second view stays."""
    first = PLAN.views[0]
    feature = replace(first.features[0], default=default)
    return FeaturePlan(views=(replace(first, features=(feature,)), PLAN.views[1]))


def test_other_declarations_ask_for_a_rebuild(path: Path, state: FeatureState) -> None:
    state.close()
    other = FeatureState.open(path, changed(1.0))
    assert other.is_stale
    with pytest.raises(DataError, match="rebuild it from the lake"):
        other.apply([record("a", 0)], {0: 1})
    with pytest.raises(DataError, match="other declarations of by_user_bought"):
        FeatureReader(path, other.plan)
    other.close()


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
