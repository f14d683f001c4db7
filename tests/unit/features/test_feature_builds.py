"""Corrected events and new declarations: rows come from the lake, and are what the lake alone gives."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from state_lake import LakeSide, rebuilt, rows_of

from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.events.contract import Event
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.stores.protocol import StoreUnavailable
from tastemaker.features.streaming import builds
from tastemaker.features.streaming.state import ConsumedEvent, FeatureState, WriterFenced

START = datetime(2011, 12, 9, 12, tzinfo=UTC)
LATER_US = to_us(START) + 86_400_000_000
BUY = ("purchase", "view")


def view(name: str, *join_keys: str, **feature: Any) -> ViewPlan:
    given = {"dtype": "int64", "function": "count", "column": "event_id"} | feature
    return ViewPlan(
        name=name,
        kind="history" if given["function"] == "last_n" else "aggregate",
        entities=join_keys,
        join_keys=join_keys,
        features=(FeatureSpec(name="f", types=BUY, **given),),
        table="events",
        timestamp_field="occurred_at",
    )


BY_USER = view("by_user", "user_id")
BY_ITEM = view("by_item", "item_id", dtype="float64", function="sum", column="value")
BY_PAIR = view("by_pair", "user_id", "item_id")
LISTED = view("listed", "user_id", dtype="list[string]", function="last_n", column="item_id", n=3)
LABELLED = view("labelled", "user_id", dtype="list[string]", function="top_k", column="category", n=2)
PLAN = FeaturePlan(views=(BY_ITEM, BY_PAIR, BY_USER, LISTED))


def record(event_id: str, offset: int, *, user: str = "u1", item: str = "i1", partition: int = 0, **more: Any) -> Any:
    at = more.pop("at", START + timedelta(minutes=offset))
    fields = {"type": "purchase", "value": 1.5, "category": f"c-{item}"} | more
    event = Event(event_id=event_id, user_id=user, item_id=item, occurred_at=at, **fields)
    return ConsumedEvent(event, partition, offset, to_us(at))


@pytest.fixture
def side(tmp_path: Path) -> LakeSide:
    return LakeSide(tmp_path / "lake")


@pytest.fixture(params=["sqlite", "memory"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return tmp_path / "online.sqlite" if request.param == "sqlite" else f"memory:{request.node.name}"


@pytest.fixture
def state(location: Path | str, side: LakeSide) -> Iterator[FeatureState]:
    opened = FeatureState.open(location, PLAN, lake=side.lake)
    yield opened
    opened.close()


def apply(state: FeatureState, side: LakeSide, records: Sequence[ConsumedEvent]) -> list[bool]:
    positions: dict[int, int] = {}
    for each in records:
        positions[each.partition] = max(positions.get(each.partition, 0), each.offset + 1)
    return state.apply(records, positions, side.gather(records))


CORRECTIONS = {
    "another value": {"type": "purchase", "value": 9.0},
    "another item": {"type": "purchase", "item": "i2"},
    "another time": {"type": "purchase", "at": START - timedelta(days=40)},
    "nothing": {"type": "retraction"},
}


@pytest.mark.parametrize("correction", CORRECTIONS.values(), ids=CORRECTIONS)
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
def test_corrected_event_leaves_no_trace_wherever_the_batch_ends(
    state: FeatureState, side: LakeSide, correction: dict[str, Any], cut: int
) -> None:
    records = [
        record("a", 0),
        record("b", 1, user="u2"),
        record("fix-a", 2, corrects="a", **correction),
        record("c", 3, item="i3"),
    ]
    for batch in (records[:cut], records[cut:], records[1:3]):  # the last one comes again
        assert all(apply(state, side, batch))
    assert rows_of(state, PLAN) == rebuilt(side.lake, PLAN, "corrected")


def test_correction_that_arrives_first_keeps_the_original_out(state: FeatureState, side: LakeSide) -> None:
    apply(state, side, [record("fix", 0, corrects="late", value=7.0)])
    assert apply(state, side, [record("late", 1)]) == [True]  # the lake keeps it all the same
    assert rows_of(state, PLAN) == rebuilt(side.lake, PLAN, "first")
    reader = FeatureReader(state.store.reader(), PLAN)
    assert reader.row("by_item", "i1", LATER_US) == {"f": 7.0}


def test_correction_can_be_corrected(state: FeatureState, side: LakeSide) -> None:
    apply(state, side, [record("a", 0, value=1.0)])
    apply(state, side, [record("b", 1, corrects="a", value=2.0)])
    apply(state, side, [record("c", 2, corrects="b", value=3.0)])
    assert rows_of(state, PLAN) == rebuilt(side.lake, PLAN, "chain")
    assert FeatureReader(state.store.reader(), PLAN).row("by_item", "i1", LATER_US) == {"f": 3.0}


def test_retraction_of_the_only_event_deletes_the_rows(state: FeatureState, side: LakeSide) -> None:
    apply(state, side, [record("a", 0)])
    apply(state, side, [record("r", 1, corrects="a", type="retraction", item="i1")])
    assert rows_of(state, PLAN) == {view.name: {} for view in PLAN.views}
    apply(state, side, [record("b", 2)])  # and what comes later does not bring it back from the cache
    assert rows_of(state, PLAN) == rebuilt(side.lake, PLAN, "deleted")


def test_second_event_with_the_same_id_corrects_nothing(state: FeatureState, side: LakeSide) -> None:
    apply(state, side, [record("a", 0), record("b", 1)])
    assert apply(state, side, [record("b", 2, corrects="a", type="retraction")]) == [False]
    assert FeatureReader(state.store.reader(), PLAN).row("by_user", "u1", LATER_US) == {"f": 2}


def test_correction_waits_until_the_lake_has_what_another_worker_applied(side: LakeSide) -> None:
    pauses: list[float] = []
    other_side = LakeSide(side.lake.root)
    other = FeatureState.open("memory:waits", PLAN, lake=side.lake)
    other.claim("tastemaker.events", [1])

    def flush_in_a_moment(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 2:
            other_side.flush()

    state = FeatureState(other.store, PLAN, lake=side.lake, pause=flush_in_a_moment)
    state.claim("tastemaker.events", [0])
    apply(state, side, [record("a", 0)])
    theirs = [record("x", 0, partition=1, user="u9")]  # of the same item
    other_side.add(theirs, other.apply(theirs, {1: 1}))
    apply(state, side, [record("fix", 1, corrects="a", value=4.0)])
    assert len(pauses) == 2
    assert rows_of(state, PLAN) == rebuilt(side.lake, PLAN, "waited")


def test_correction_starts_again_when_the_lake_stays_behind(side: LakeSide) -> None:
    state = FeatureState.open("memory:behind", PLAN, lake=side.lake)
    state._writing.pause = lambda _: None
    state.apply([record("x", 0, partition=1)], {1: 1})
    state.claim("tastemaker.events", [0])
    with pytest.raises(WriterFenced, match="partition 1 up to offset -1, the online store up to 0"):
        apply(state, side, [record("fix", 0, corrects="x")])


def test_rows_ahead_of_the_lake_are_completed_by_what_comes_again(side: LakeSide) -> None:
    """After a crash: offsets 1 and 2 are in the rows and not in the lake, so this worker reads them again."""
    state = FeatureState.open("memory:ahead", PLAN, lake=side.lake)
    state.claim("tastemaker.events", [0, 1])
    apply(state, side, [record("a", 0)])
    lost = [record("b", 1), record("c", 2, item="i2")]
    state.apply(lost, {0: 3})
    apply(state, side, [record("fix", 0, partition=1, corrects="a", value=4.0)])
    apply(state, side, lost)
    assert rows_of(state, PLAN) == rebuilt(side.lake, PLAN, "ahead")


def test_correction_without_a_lake_says_what_is_missing() -> None:
    state = FeatureState.open("memory:no-lake", PLAN)
    with pytest.raises(DataError, match="open the state with it"):
        state.apply([record("fix", 0, corrects="a")], {0: 1})


NEWER = FeaturePlan(views=(BY_ITEM, replace(BY_PAIR, ttl_us=1), LABELLED, LISTED))


def in_buckets(monkeypatch: pytest.MonkeyPatch, events: int) -> None:
    monkeypatch.setattr(builds, "_BUCKET_EVENTS", events)


def purchases(count: int, begin: int = 0) -> list[ConsumedEvent]:
    return [record(f"e{n}", n, user=f"u{n % 7}", item=f"i{n % 5}") for n in range(begin, begin + count)]


def test_new_views_are_built_in_steps_while_events_come_and_workers_die(
    location: Path | str, side: LakeSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_buckets(monkeypatch, 4)
    before = FeatureState.open(location, PLAN, lake=side.lake)
    before.bootstrap(side.lake)
    apply(before, side, purchases(20))
    keeper = before.store.reader()  # what is in memory goes with the last who has it open

    shares, offset = [], 20
    for _ in range(40):
        state = FeatureState.open(location, NEWER, lake=side.lake)  # the last one was killed
        assert state.building
        apply(state, side, purchases(3, offset))
        offset += 3
        shares.append(state.build_step(side.lake))
        building = state.building
        state.close()
        if not building:
            break
    # Two of four views are complete as they are; each new one has 23 // 4 + 1 and a few more buckets.
    assert shares[0] > 0.5
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 10
    state = FeatureState.open(location, NEWER, lake=side.lake)
    assert not state.building
    assert rows_of(state, NEWER) == rebuilt(side.lake, NEWER, "built")
    assert state.build_step(side.lake) == 1.0
    reader = FeatureReader(state.store.reader(), NEWER)
    assert reader.row("labelled", "u1", LATER_US)["f"] != []
    # A release that was trained with the replaced views reads them as they stood after 20 events: u0 has 0, 7, 14.
    old = FeatureReader(state.store.reader(), PLAN)
    assert old.row("by_user", "u0", LATER_US) == {"f": 3}
    keeper.close()


def test_corrections_reach_rows_that_are_built_and_rows_that_are_not(
    location: Path | str, side: LakeSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_buckets(monkeypatch, 5)
    before = FeatureState.open(location, PLAN, lake=side.lake)
    apply(before, side, purchases(20))
    state = FeatureState.open(location, NEWER, lake=side.lake)
    offset = 20
    while state.building:
        fix = record(f"e{offset}", offset, corrects=f"e{offset - 20}", user=f"u{offset % 7}", item="i9")
        apply(state, side, [fix])
        offset += 1
        state.build_step(side.lake)
    assert offset > 25
    assert rows_of(state, NEWER) == rebuilt(side.lake, NEWER, "built-corrected")


def test_batch_without_the_lake_is_refused_while_views_are_built(state: FeatureState, side: LakeSide) -> None:
    apply(state, side, purchases(3))
    newer = FeatureState(state.store, NEWER, lake=side.lake)
    with pytest.raises(DataError, match="before_commit"):
        newer.apply([record("x", 9)], {0: 10})


def test_build_waits_for_the_lake(state: FeatureState, side: LakeSide) -> None:
    theirs = [record("x", 0, partition=1)]
    answers = state.apply(theirs, {1: 1})
    newer = FeatureState(state.store, NEWER, lake=side.lake)
    newer.claim("tastemaker.events", [0])
    share = newer.build_step(side.lake)
    assert newer.build_step(side.lake) == share < 1
    side.add(theirs, answers)
    side.flush()
    assert newer.build_step(side.lake) > share


def test_writer_of_older_declarations_is_fenced_by_a_build(state: FeatureState, side: LakeSide) -> None:
    apply(state, side, purchases(3))
    newer = FeatureState(state.store, NEWER, lake=side.lake)
    with pytest.raises(WriterFenced, match="other feature declarations"):
        apply(state, side, purchases(1, 3))
    with pytest.raises(WriterFenced, match="other feature declarations"):
        state.apply_items([], {0: 1})
    assert newer.positions("tastemaker.events") == {0: 3}


def test_declarations_that_come_back_are_built_anew_and_readable_meanwhile(
    location: Path | str, side: LakeSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = FeatureState.open(location, PLAN, lake=side.lake)
    apply(first, side, purchases(7))
    second = FeatureState.open(location, NEWER, lake=side.lake)
    while second.building:
        second.build_step(side.lake)
    apply(second, side, purchases(7, 7))
    third = FeatureState.open(location, PLAN, lake=side.lake)
    assert third.building
    assert FeatureReader(third.store.reader(), PLAN).row("by_user", "u1", LATER_US) == {"f": 1}
    while third.building:
        third.build_step(side.lake)
    assert FeatureReader(third.store.reader(), PLAN).row("by_user", "u1", LATER_US) == {"f": 2}
    assert rows_of(third, PLAN) == rebuilt(side.lake, PLAN, "back")


def test_view_that_is_built_anew_stays_readable_and_loses_rows_that_the_lake_does_not_give(
    location: Path | str, side: LakeSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_buckets(monkeypatch, 4)
    state = FeatureState.open(location, PLAN, lake=side.lake)
    apply(state, side, purchases(20))
    # A row whose events are gone from the lake, and one that is wrong: u1 bought e1, e8 and e15.
    with state.store.transaction() as tx:
        (right,) = tx.get(BY_USER.signature, ["u2"])
        assert right is not None
        tx.put(BY_USER.signature, ["gone", "u1"], [0, 0], [right, right])
    other = FeatureState(state.store, PLAN, lake=side.lake)
    other.begin_build(["by_user"])
    reader = FeatureReader(state.store.reader(), PLAN)
    assert reader.row("by_user", "u0", LATER_US) == {"f": 3}
    with pytest.raises(WriterFenced, match="built anew"):  # it would go on with rows that it has in memory
        state.check()
    offset, steps = 20, 0
    again = FeatureState(state.store, PLAN, lake=side.lake)
    while again.building:
        apply(again, side, purchases(1, offset))
        offset, steps = offset + 1, steps + 1
        again.build_step(side.lake)
        assert reader.row("by_user", "u0", LATER_US)["f"] >= 3
    assert steps == 21 // 4 + 1  # in as many parts as the 21 events of the first step give
    assert rows_of(again, PLAN) == rebuilt(side.lake, PLAN, "anew")
    again.check()


def test_check_of_a_store_that_is_away_waits(state: FeatureState, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def away() -> Iterator[Any]:
        raise StoreUnavailable("no answer")
        yield

    monkeypatch.setattr(state.store, "transaction", away)
    state.check()
