"""The SQL executor equals the naive reference as of any row."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
from feature_histories import (
    DAY_US,
    EDGES,
    HISTORIES,
    NOW_US,
    PLAN,
    VIEWS,
    first_occurrences,
    keys_of,
    lake_of,
    reference,
    same,
)
from feature_reference import Arrival, time_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tastemaker.features.keys import join_key
from tastemaker.features.plan import ViewPlan
from tastemaker.features.sql.as_of import as_of
from tastemaker.features.sql.temporary_tables import PIECE

MOMENTS = st.lists(
    st.one_of(
        st.sampled_from([NOW_US, NOW_US + 1, NOW_US - 5_000_000, NOW_US + 500 * DAY_US]),
        st.integers(0, 8 * DAY_US).map(lambda ago: NOW_US - ago),
    ),
    min_size=1,
    max_size=4,
)


def computed(duck: duckdb.DuckDBPyConnection, view: ViewPlan, rows: list[tuple[str, int]], piece: int) -> dict:
    duck.execute("CREATE OR REPLACE TEMP TABLE frame (key VARCHAR, as_of_us BIGINT)")
    duck.executemany("INSERT INTO frame VALUES (?, ?)", rows)
    as_of(duck, view, "frame", "answers", piece=piece)
    found = duck.execute("SELECT * FROM answers").fetchall()
    return {(key, at): dict(zip(view.feature_names, values, strict=True)) for key, at, *values in found}


def check(views: Sequence[ViewPlan], arrivals: list[Arrival], moments: list[int], piece: int) -> None:
    # The moment of an event is the edge that matters most: the event is not its own feature.
    moments = [*moments, *(time_of(arrival.event) for arrival in arrivals[:2])]
    with (
        tempfile.TemporaryDirectory() as directory,
        lake_of(Path(directory), first_occurrences(arrivals)).connect(threads=1) as duck,
    ):
        for view in views:
            keys = keys_of(view, arrivals)
            found = computed(duck, view, [(join_key(key), at) for key in keys for at in moments], piece)
            for key in keys:
                for at in moments:
                    expected, values = reference(view, arrivals, key, at), found[join_key(key), at]
                    wrong = {
                        name: (values[name], expected[name])
                        for name in expected
                        if not same(values[name], expected[name])
                    }
                    assert not wrong, (view.name, key, at, wrong)


@given(arrivals=HISTORIES, moments=MOMENTS, piece=st.sampled_from([1, 10, PIECE]))
@example(arrivals=EDGES, moments=[NOW_US, NOW_US + DAY_US, NOW_US + DAY_US + 1], piece=PIECE)
@settings(max_examples=12, deadline=None)
def test_sql_equals_reference_as_of_any_row(arrivals: list[Arrival], moments: list[int], piece: int) -> None:
    check(PLAN.views, arrivals, moments, piece)


@given(view=VIEWS, arrivals=HISTORIES, moments=MOMENTS)
@settings(max_examples=25, deadline=None)
def test_sql_equals_reference_in_any_view(view: ViewPlan, arrivals: list[Arrival], moments: list[int]) -> None:
    check([view], arrivals, moments, piece=20)
