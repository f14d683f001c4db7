"""Batch, stream, bootstrap and a naive reference agree to the last bit on random histories."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from feature_histories import (
    DAY_US,
    EDGES,
    HISTORIES,
    HOUR_US,
    NOW_US,
    PLAN,
    VIEWS,
    empty_lake,
    examples,
    first_occurrences,
    keys_of,
    lake_of,
    reference,
    same,
)
from feature_reference import Arrival
from feature_stores import fresh_location, states_of
from feature_worker import StreamRun, consumed
from hypothesis import example, given
from hypothesis import strategies as st

from tastemaker.features.bootstrap.snapshot import SnapshotReader
from tastemaker.features.layout import APPLIED, MAX_SLOTS, WIDTH
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.resident import ResidentMatrix
from tastemaker.features.stores.opening import open_online_reader
from tastemaker.features.streaming.state import FeatureState
from tastemaker.features.streaming.tails import fold_states

# Reads at the present, and later without any new event.
LATER_US = st.sampled_from([0, 1, 9_000_000, HOUR_US, DAY_US, 4 * DAY_US, 500 * DAY_US])


def plan_with(view: ViewPlan) -> FeaturePlan:
    """The views that use everything, and a drawn one."""
    return FeaturePlan(views=(*PLAN.views, view)) if view.name == "drawn" else PLAN


def rows_of(location: str, plan: FeaturePlan) -> dict[str, dict[str, tuple[int, bytes]]]:
    """Everything in a store, without the offsets that live rows note."""
    reader = open_online_reader(location)
    return {
        view.name: {key: (row.event_us, _plain(row.state, view)) for key, row in reader.all_rows(view.signature)}
        for view in plan.views
    }


def _plain(state: bytes, view: ViewPlan) -> bytes:
    (state,) = fold_states(view, [state])
    if view.kind == "history":
        return state
    entries = np.frombuffer(state, np.int64).reshape(-1, WIDTH)
    return entries[entries[:, 0] // MAX_SLOTS != APPLIED].tobytes()


def assert_equals_reference(reader: FeatureReader, arrivals: Sequence[Arrival], at_us: int) -> None:
    for view in reader.plan.views:
        keys = keys_of(view, arrivals)
        for key, row in zip(keys, reader.rows(view.name, keys, at_us), strict=True):
            expected = reference(view, arrivals, key, at_us)
            assert same(row, expected), (view.name, key, row, expected)


@given(arrivals=HISTORIES, view=VIEWS, ago_us=st.sampled_from([0, 1, 10_000_000, HOUR_US, DAY_US, 5 * DAY_US]))
@example(arrivals=EDGES, view=PLAN.view("by_item"), ago_us=0)
@examples(15)
def test_snapshot_of_the_past_equals_reference(arrivals: list[Arrival], view: ViewPlan, ago_us: int) -> None:
    plan = plan_with(view)
    with tempfile.TemporaryDirectory() as directory:
        lake = lake_of(Path(directory), first_occurrences(arrivals))
        reader = SnapshotReader.as_of(lake, plan, NOW_US - ago_us)
        assert_equals_reference(reader, arrivals, NOW_US - ago_us)
        reader.close()


@given(
    arrivals=HISTORIES,
    view=VIEWS,
    size=st.integers(1, 9),
    again=st.sets(st.integers(0, 6), max_size=3).map(sorted),
    cache_bytes=st.sampled_from([0, 2000, 1 << 20]),
    later_us=LATER_US,
)
@example(arrivals=EDGES, view=PLAN.view("by_item"), size=4, again=[2], cache_bytes=0, later_us=0)
@example(arrivals=EDGES[::-1], view=PLAN.view("by_item"), size=4, again=[], cache_bytes=1 << 20, later_us=0)
@example(arrivals=EDGES, view=PLAN.view("by_item"), size=3, again=[1, 3], cache_bytes=2000, later_us=DAY_US)
@examples(30)
def test_stream_equals_reference_in_any_order_and_batching(  # noqa: PLR0917 - drawn by name
    arrivals: list[Arrival], view: ViewPlan, size: int, again: list[int], cache_bytes: int, later_us: int
) -> None:
    location, plan = fresh_location(), plan_with(view)
    with tempfile.TemporaryDirectory() as directory:
        run = StreamRun(location, plan, empty_lake(Path(directory)), cache_bytes)
        run.apply_all(consumed(arrivals), size, again)
        reader = FeatureReader(location, plan)
        assert_equals_reference(reader, arrivals, NOW_US + later_us)
        run.close()


@given(arrivals=HISTORIES, view=VIEWS, size=st.integers(1, 9))
@example(arrivals=EDGES, view=PLAN.view("by_item"), size=5)
@example(arrivals=EDGES[3:], view=PLAN.view("by_item"), size=5)
@examples(10)
def test_bootstrap_leaves_the_same_entries_as_live_events(arrivals: list[Arrival], view: ViewPlan, size: int) -> None:
    live, rebuilt, plan = fresh_location(), fresh_location(), plan_with(view)
    with tempfile.TemporaryDirectory() as directory:
        run = StreamRun(live, plan, empty_lake(Path(directory)))
        run.apply_all(consumed(arrivals), size)
        run.flush()
        other = FeatureState.open(rebuilt, plan)
        other.bootstrap(run.lake)
        assert rows_of(live, plan) == rows_of(rebuilt, plan)
        assert {view.name: dict(states_of(view, arrivals)) for view in plan.views} == rows_of(live, plan)
        run.close()
        other.close()


@given(arrivals=HISTORIES, view=VIEWS, cut=st.integers(0, 30), size=st.integers(1, 9), later_us=LATER_US)
@example(arrivals=EDGES, view=PLAN.view("by_item"), cut=11, size=4, later_us=0)
@examples(12)
def test_bootstrap_then_live_equals_reference(
    arrivals: list[Arrival], view: ViewPlan, cut: int, size: int, later_us: int
) -> None:
    records, plan = consumed(arrivals), plan_with(view)
    with tempfile.TemporaryDirectory() as directory:
        before = StreamRun(fresh_location(), plan, empty_lake(Path(directory)))
        before.apply_all(records[:cut], size)
        before.flush()
        location = fresh_location()
        run = StreamRun(location, plan, before.lake)
        run.state.bootstrap(before.lake)
        # What comes again after the bootstrap, because positions are those of the lake, changes nothing.
        run.apply_all(records[max(0, cut - 3) :], size)
        reader = FeatureReader(location, plan)
        assert_equals_reference(reader, arrivals, NOW_US + later_us)
        before.close()
        run.close()


@given(arrivals=HISTORIES, view=VIEWS, size=st.integers(1, 9), late=st.lists(LATER_US, min_size=1, max_size=4))
@examples(10)
def test_resident_matrix_follows_the_stream(
    arrivals: list[Arrival], view: ViewPlan, size: int, late: list[int]
) -> None:
    location, plan = fresh_location(), plan_with(view)
    numeric = {
        view.name: [feature.name for feature in view.features if feature.is_numeric]
        for view in plan.views
        if view.kind == "aggregate"
    }
    records = consumed(arrivals)
    with tempfile.TemporaryDirectory() as directory:
        run = StreamRun(location, plan, empty_lake(Path(directory)))
        reader = FeatureReader(location, plan)
        resident = ResidentMatrix(reader.store, plan, dict.fromkeys(numeric), NOW_US)
        for number, begin in enumerate(range(0, len(records), size)):
            run.apply(records[begin : begin + size])
            now_us = NOW_US + late[number % len(late)]
            while not resident.refresh(now_us, limit=3):
                pass
            for name, features in numeric.items():
                keys = keys_of(plan.view(name), arrivals)
                found = resident.matrix(name, keys, now_us)
                np.testing.assert_array_equal(found, reader.matrix(name, keys, now_us, features))
        run.close()
