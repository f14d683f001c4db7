"""What is read from packed states equals the naive reference to the last bit, at any moment, however it is read."""

from collections.abc import Sequence

import numpy as np
from feature_histories import DAY_US, EDGES, HISTORIES, HOUR_US, NOW_US, PLAN, VIEWS, examples, keys_of, reference, same
from feature_reference import Arrival
from feature_stores import fresh_store, put_states
from hypothesis import example, given
from hypothesis import strategies as st

from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.resident import ResidentMatrix
from tastemaker.features.stores.memory import MemoryStore

# Reads at the present, and later without any new event.
LATER_US = st.one_of(
    st.sampled_from([0, 1, 9_000_000, HOUR_US, DAY_US // 2, DAY_US, 4 * DAY_US, 500 * DAY_US]),
    st.integers(0, 5 * DAY_US),
)


def filled(plan: FeaturePlan, arrivals: Sequence[Arrival]) -> tuple[MemoryStore, FeatureReader]:
    store = fresh_store(plan)
    put_states(store, plan.views, arrivals)
    return store, FeatureReader(store.reader(), plan)


def assert_equals_reference(reader: FeatureReader, view: ViewPlan, arrivals: Sequence[Arrival], at_us: int) -> None:
    keys = keys_of(view, arrivals)
    for key, row in zip(keys, reader.rows(view.name, keys, at_us), strict=True):
        expected = reference(view, arrivals, key, at_us)
        assert same(row, expected), (view.name, key, row, expected)
    numeric = [feature.name for feature in view.features if feature.is_numeric]
    if view.kind == "history" or not numeric:
        return
    chosen = numeric[::-2]
    found = reader.values(view.name, keys, at_us, chosen)
    expected_rows = [reference(view, arrivals, key, at_us) for key in keys]
    wanted = np.array([[row[name] for name in chosen] for row in expected_rows], np.float64)
    np.testing.assert_array_equal(found, wanted)


@given(arrivals=HISTORIES, later_us=LATER_US)
@example(arrivals=EDGES, later_us=0)
@example(arrivals=EDGES, later_us=DAY_US)
@examples(60)
def test_rows_and_values_of_every_function_equal_reference(arrivals: list[Arrival], later_us: int) -> None:
    _, reader = filled(PLAN, arrivals)
    for view in PLAN.views:
        assert_equals_reference(reader, view, arrivals, NOW_US + later_us)


@given(view=VIEWS, arrivals=HISTORIES, later_us=LATER_US)
@examples(60)
def test_rows_and_values_of_drawn_views_equal_reference(view: ViewPlan, arrivals: list[Arrival], later_us: int) -> None:
    _, reader = filled(FeaturePlan(views=(view,)), arrivals)
    assert_equals_reference(reader, view, arrivals, NOW_US + later_us)


@given(
    view=VIEWS,
    arrivals=HISTORIES,
    cuts=st.lists(st.integers(0, 30), max_size=3).map(sorted),
    moments=st.lists(st.tuples(LATER_US, LATER_US, st.booleans(), st.integers(1, 5)), min_size=1, max_size=5),
)
@example(view=PLAN.view("by_user"), arrivals=EDGES, cuts=[], moments=[(DAY_US, 0, False, 1), (0, DAY_US, True, 9)])
@examples(60)
def test_resident_matrix_equals_reader_at_any_moment(
    view: ViewPlan, arrivals: list[Arrival], cuts: list[int], moments: list[tuple[int, int, bool, int]]
) -> None:
    numeric = [feature.name for feature in view.features if feature.is_numeric]
    plan = FeaturePlan(views=(view,))
    keys = keys_of(view, arrivals)
    store, reader = filled(plan, arrivals[: cuts[0]] if cuts else arrivals)
    resident = ResidentMatrix(reader.store, plan, {view.name: None}, NOW_US + moments[0][1])
    for cut in [None, *cuts[1:], len(arrivals)]:
        if cut is not None:
            put_states(store, plan.views, arrivals[:cut])
            while not resident.refresh(NOW_US + moments[-1][1], limit=moments[0][3]):
                pass
        for read_us, refresh_us, refreshes, limit in moments:
            if refreshes:  # one piece of the work, or all of it: values must not depend on that
                resident.refresh(NOW_US + refresh_us, limit=limit)
            found = resident.matrix(view.name, keys, NOW_US + read_us)
            np.testing.assert_array_equal(found, reader.matrix(view.name, keys, NOW_US + read_us, numeric))
            few = resident.matrix(view.name, keys, NOW_US + read_us, numeric[:1])
            np.testing.assert_array_equal(few, found[:, :1])
