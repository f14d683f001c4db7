"""Batch, stream and a naive reference agree to the last bit on random histories."""

import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from feature_histories import DAY_US, EDGES, HISTORIES, NOW_US, PLAN, keys_of, lake_of, reference, same
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tastemaker.events.contract import Event
from tastemaker.features import database
from tastemaker.features.reader import FeatureReader
from tastemaker.features.snapshot import SnapshotReader
from tastemaker.features.state import ConsumedEvent, FeatureState

_names = count()
# Reads at the present, and later without any new event.
LATER_US = st.sampled_from([0, 1, 9_000_000, DAY_US // 24, DAY_US, 4 * DAY_US, 500 * DAY_US])


def fresh_location() -> str:
    return database.memory_location(f"parity-{next(_names)}")


def consumed(events: Sequence[Event]) -> list[ConsumedEvent]:
    return [ConsumedEvent(event, 0, offset) for offset, event in enumerate(events)]


def apply_in_batches(state: FeatureState, records: Sequence[ConsumedEvent], size: int) -> list[ConsumedEvent]:
    """Apply all; give back the first occurrences, which are what the worker appends to the lake."""
    first = []
    for begin in range(0, len(records), size):
        batch = records[begin : begin + size]
        answers = state.apply(batch, {0: batch[-1].offset + 1})
        first += [record for record, answer in zip(batch, answers, strict=True) if answer]
    return first


def assert_equals_reference(reader: FeatureReader, events: Sequence[Event], at_us: int) -> None:
    for view in PLAN.views:
        keys = keys_of(view, events)
        found = reader.rows(view.name, keys, at_us)
        for key, row in zip(keys, found, strict=True):
            expected = reference(view, events, key, at_us)
            assert same(row, expected), (view.name, key, row, expected)


@given(events=HISTORIES, size=st.integers(1, 7), later_us=LATER_US)
@example(events=EDGES, size=4, later_us=0)
@example(events=EDGES[::-1], size=4, later_us=0)
@example(events=EDGES, size=3, later_us=DAY_US)
@settings(max_examples=80, deadline=None)
def test_stream_equals_reference_in_any_order_and_batching(events: list[Event], size: int, later_us: int) -> None:
    location = fresh_location()
    state = FeatureState.open(location, PLAN, cached_entities=2)
    apply_in_batches(state, consumed(events), size)
    reader = FeatureReader(location, PLAN)
    assert_equals_reference(reader, events, NOW_US + later_us)
    reader.close()
    state.close()


@given(events=HISTORIES)
@example(events=EDGES)
@example(events=EDGES[3:])
@settings(max_examples=15, deadline=None)
def test_bootstrap_leaves_the_same_bytes_as_live_events(events: list[Event]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        live, rebuilt = fresh_location(), fresh_location()
        state = FeatureState.open(live, PLAN)
        lake = lake_of(Path(directory), apply_in_batches(state, consumed(events), 5))
        other = FeatureState.open(rebuilt, PLAN)
        other.bootstrap(lake)
        query = "SELECT view, key, event_us, state FROM online ORDER BY view, key"
        rows = [database.connect_reader(where).execute(query).fetchall() for where in (live, rebuilt)]
        assert rows[0] == rows[1]
        seen = "SELECT * FROM seen ORDER BY digest"
        rows = [database.connect_reader(where).execute(seen).fetchall() for where in (live, rebuilt)]
        assert rows[0] == rows[1]
        state.close()
        other.close()


@given(events=HISTORIES, cut=st.integers(0, 30))
@example(events=EDGES, cut=11)
@settings(max_examples=15, deadline=None)
def test_bootstrap_then_live_equals_all_live(events: list[Event], cut: int) -> None:
    records = consumed(events)
    with tempfile.TemporaryDirectory() as directory:
        before = FeatureState.open(fresh_location(), PLAN)
        lake = lake_of(Path(directory), apply_in_batches(before, records[:cut], 5))
        location = fresh_location()
        state = FeatureState.open(location, PLAN)
        state.bootstrap(lake)
        assert state.positions("tastemaker.events").get(0, 0) <= cut
        apply_in_batches(state, records[cut:], 4)
        reader = FeatureReader(location, PLAN)
        assert_equals_reference(reader, events, NOW_US)
        reader.close()
        state.close()
        before.close()


@given(events=HISTORIES, ago_us=st.sampled_from([0, 1, 10_000_000, DAY_US // 24, DAY_US, 5 * DAY_US]))
@example(events=EDGES, ago_us=0)
@settings(max_examples=15, deadline=None)
def test_snapshot_of_the_past_equals_reference(events: list[Event], ago_us: int) -> None:
    unique = list({event.event_id: event for event in reversed(events)}.values())
    with tempfile.TemporaryDirectory() as directory:
        lake = lake_of(Path(directory), consumed(unique))
        reader = SnapshotReader.as_of(lake, PLAN, NOW_US - ago_us)
        assert_equals_reference(reader, unique, NOW_US - ago_us)
        reader.close()
