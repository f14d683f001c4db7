"""The SQL executor equals the naive reference as of any row."""

import tempfile
from pathlib import Path

import duckdb
from feature_histories import DAY_US, EDGES, HISTORIES, NOW_US, PLAN, keys_of, lake_of, reference, same
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tastemaker.events.contract import Event
from tastemaker.features.keys import join_key
from tastemaker.features.plan import ViewPlan
from tastemaker.features.sql import as_of
from tastemaker.features.state import ConsumedEvent

MOMENTS = st.lists(
    st.one_of(
        st.sampled_from([NOW_US, NOW_US + 1, NOW_US - 5_000_000, NOW_US + 500 * DAY_US]),
        st.integers(0, 8 * DAY_US).map(lambda ago: NOW_US - ago),
    ),
    min_size=1,
    max_size=4,
)


def computed(lake_connection: duckdb.DuckDBPyConnection, view: ViewPlan, rows: list[tuple[str, int]]) -> dict:
    lake_connection.execute("CREATE OR REPLACE TEMP TABLE frame (key VARCHAR, as_of_us BIGINT)")
    lake_connection.executemany("INSERT INTO frame VALUES (?, ?)", rows)
    as_of(lake_connection, view, "frame", "answers")
    found = lake_connection.execute("SELECT * FROM answers").fetchall()
    return {(key, at): dict(zip(view.feature_names, values, strict=True)) for key, at, *values in found}


@given(events=HISTORIES, moments=MOMENTS)
@example(events=EDGES, moments=[NOW_US, NOW_US + DAY_US, NOW_US + DAY_US + 1])
@settings(max_examples=30, deadline=None)
def test_sql_equals_reference_as_of_any_row(events: list[Event], moments: list[int]) -> None:
    unique = list({event.event_id: event for event in reversed(events)}.values())
    # The moment of an event is the edge that matters most: the event is not its own feature.
    moments = [*moments, *(int(event.occurred_at.timestamp() * 1_000_000) for event in unique[:2])]
    with tempfile.TemporaryDirectory() as directory:
        lake = lake_of(Path(directory), [ConsumedEvent(event, 0, place) for place, event in enumerate(unique)])
        with lake.connect() as duck:
            for view in PLAN.views:
                keys = keys_of(view, unique)
                found = computed(duck, view, [(join_key(key), at) for key in keys for at in moments])
                for key in keys:
                    for at in moments:
                        expected = reference(view, unique, key, at)
                        assert same(found[join_key(key), at], expected), (view.name, key, at, expected)
