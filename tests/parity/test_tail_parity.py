"""Rows with tails give the very values that whole rows give, and become the very same rows."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest
from feature_histories import EDGES, HISTORIES, NOW_US, PLAN, VIEWS, empty_lake, examples, keys_of
from feature_reference import Arrival
from feature_stores import fresh_location
from feature_worker import StreamRun, consumed
from hypothesis import example, given
from hypothesis import strategies as st

from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.resident import ResidentMatrix
from tastemaker.features.semantics import DAY_US, HEAD_US
from tastemaker.features.stores import sqlite
from tastemaker.features.streaming.tails import fold_states

_HUGE = 1 << 30
# Never, now and then, and at once.
_LIMITS = (_HUGE, 4096, 1)
_MOMENTS_US = (-HEAD_US // 2, 0, 1, DAY_US, 40 * DAY_US)
_names = count()


@contextmanager
def both(plan: FeaturePlan, limit: int, cache_bytes: int = 1 << 20) -> Iterator[tuple[StreamRun, StreamRun, str]]:
    """A worker whose store has whole rows, one whose store has tails, and where the latter is."""
    with tempfile.TemporaryDirectory() as scratch, patch.object(sqlite, "TAIL_BYTES", limit):
        directory = Path(scratch)
        location = directory / f"tails-{next(_names)}.sqlite"
        for name in ("whole", "tailed"):
            (directory / name).mkdir()
        whole = StreamRun(fresh_location(), plan, empty_lake(directory / "whole"), cache_bytes)
        tailed = StreamRun(str(location), plan, empty_lake(directory / "tailed"), cache_bytes)
        yield whole, tailed, str(location)
        whole.close()
        tailed.close()


def assert_equal(whole: FeatureReader, tailed: FeatureReader, arrivals: Sequence[Arrival]) -> None:
    """Values, rows, and what a process keeps of them, are the same."""
    for view in whole.plan.views:
        keys = keys_of(view, arrivals)
        for ago_us in _MOMENTS_US:
            at_us = NOW_US + ago_us
            expected = whole.rows_and_times(view.name, keys, at_us)
            assert str(tailed.rows_and_times(view.name, keys, at_us)) == str(expected), (view.name, ago_us)
        numeric = [feature.name for feature in view.features if feature.is_numeric]
        if view.kind == "aggregate" and numeric:
            values = whole.values(view.name, keys, NOW_US, numeric)
            assert tailed.values(view.name, keys, NOW_US, numeric).tobytes() == values.tobytes()
            kept = [ResidentMatrix(one.store, one.plan, {view.name: numeric}, NOW_US) for one in (whole, tailed)]
            for later_us in _MOMENTS_US:
                assert kept[0].matrix(view.name, keys, NOW_US + later_us).tobytes() == (
                    kept[1].matrix(view.name, keys, NOW_US + later_us).tobytes()
                )
        stored = dict(whole.store.all_rows(view.signature))
        found = dict(tailed.store.all_rows(view.signature))
        folded = fold_states(view, [row.state for row in found.values()])
        assert dict(zip(found, folded, strict=True)) == {key: stored[key].state for key in found}
        assert {key: row.event_us for key, row in found.items()} == {key: row.event_us for key, row in stored.items()}
        assert tailed.store.size(view.signature) == whole.store.size(view.signature)
        for first in {key.partition("\x1f")[0] for key in stored}:
            scanned = [(key, row.event_us) for key, row in tailed.store.scan(view.signature, first)]
            assert scanned == [(key, row.event_us) for key, row in whole.store.scan(view.signature, first)]


@given(
    arrivals=HISTORIES,
    view=VIEWS,
    size=st.integers(1, 9),
    again=st.sets(st.integers(0, 6), max_size=3).map(sorted),
    cache_bytes=st.sampled_from([0, 2000, 1 << 20]),
    limit=st.sampled_from(_LIMITS),
)
@example(arrivals=EDGES, view=PLAN.view("by_item"), size=4, again=[2], cache_bytes=0, limit=_HUGE)
@example(arrivals=EDGES[::-1], view=PLAN.view("by_item"), size=4, again=[], cache_bytes=1 << 20, limit=4096)
@example(arrivals=EDGES, view=PLAN.view("by_item"), size=1, again=[1, 3], cache_bytes=2000, limit=1)
@examples(6)
def test_tails_change_no_value_in_any_order_and_batching(  # noqa: PLR0917 - drawn by name
    arrivals: list[Arrival], view: ViewPlan, size: int, again: list[int], cache_bytes: int, limit: int
) -> None:
    plan = FeaturePlan(views=(*PLAN.views, view)) if view.name == "drawn" else PLAN
    with both(plan, limit, cache_bytes) as (whole, tailed, location):
        readers: list[FeatureReader] = []
        records = consumed(arrivals)
        half = len(records) // 2 // size * size
        for part in (records[:half], records[half:]):  # the second time, the reader follows
            for run in (whole, tailed):
                run.apply_all(part, size, again)
            if not readers:
                readers = [FeatureReader(whole.state.store.reader(), plan), FeatureReader(location, plan)]
            assert_equal(*readers, arrivals)
        for reader in readers:
            reader.close()


@pytest.mark.parametrize("limit", _LIMITS)
def test_a_worker_that_starts_again_goes_on_with_the_tails_it_finds(limit: int) -> None:
    with both(PLAN, limit) as (whole, tailed, location):
        records = consumed(EDGES)
        whole.apply_all(records, 3)
        tailed.apply_all(records[:9], 3)
        with patch.object(sqlite, "TAIL_BYTES", limit):
            again = StreamRun(location, PLAN, tailed.lake)
        again.apply_all(records[9:], 3)
        again.apply_all(records[3:12], 4)
        reader = FeatureReader(location, PLAN)
        expected = FeatureReader(whole.state.store.reader(), PLAN)
        assert_equal(expected, reader, EDGES)
        for run in (whole, again):
            run.state.fold()
        assert_equal(expected, reader, EDGES)
        # Nothing is left to be folded, unless tails were put behind their rows as they are before.
        for view in PLAN.views if limit == _HUGE else ():
            assert {key: row.state for key, row in reader.store.all_rows(view.signature)} == {
                key: row.state for key, row in expected.store.all_rows(view.signature)
            }
        reader.close()
        again.close()
