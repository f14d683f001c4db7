"""Windows decay without events, lists end at their length, sums saturate: on examples small enough to count by hand."""

import numpy as np
import pytest

from tastemaker.features.collapse import collapse
from tastemaker.features.history import HistoryEvent, add_events, pack_history, unpack_history
from tastemaker.features.layout import layout_of
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US, HEAD_US, SUM_CAP, to_micros
from tastemaker.features.tiles import Tiles, contributions

HOUR_US = DAY_US // 24
MIDNIGHT = 15_000 * DAY_US
BUY = ("purchase",)
VIEW = ViewPlan(
    name="by_item",
    kind="aggregate",
    entities=("item",),
    join_keys=("item_id",),
    features=(
        FeatureSpec(
            name="n_2d",
            dtype="int64",
            function="count",
            column="event_id",
            types=BUY,
            window_us=2 * DAY_US,
            slide_us=DAY_US,
            default=0,
        ),
        FeatureSpec(name="n", dtype="int64", function="count", column="event_id", types=BUY, default=0),
        FeatureSpec(name="sum", dtype="float64", function="sum", column="value", types=BUY, default=0),
        FeatureSpec(
            name="decayed",
            dtype="float64",
            function="decayed_count",
            column="event_id",
            types=BUY,
            half_life_us=2 * DAY_US,
            default=0,
        ),
        FeatureSpec(
            name="since", dtype="float64", function="time_since_last", column="occurred_at", types=BUY, default=-1
        ),
    ),
    table="events",
    timestamp_field="occurred_at",
)
LAYOUT = layout_of(VIEW)
FEEDS = contributions(LAYOUT)["purchase"]


def state(*events: tuple[int, float]) -> Tiles:
    tiles = Tiles(LAYOUT)
    for at_us, value in events:
        tiles.add(at_us, FEEDS, to_micros(value))
    return tiles


def values(tiles: Tiles, now_us: int) -> list[float]:
    return collapse(VIEW, [tiles.pack()], now_us)[0].tolist()


def test_window_decays_in_steps_while_nothing_happens() -> None:
    tiles = state((MIDNIGHT + HOUR_US, 1.5), (MIDNIGHT + 30 * HOUR_US, 2.25))
    # At hour 31: both events; one midnight has passed since the first: 2**-0.5 + 1; an hour since the last.
    assert values(tiles, MIDNIGHT + 31 * HOUR_US) == pytest.approx([2, 2, 3.75, 1 + 2**-0.5, 1 / 24], abs=1e-11)
    # Day 2, 23:59: the window begins at floor(day 0, 23:59) = day 0, so the first event is still in.
    assert values(tiles, MIDNIGHT + 3 * DAY_US - 1)[0] == 2
    # Day 3, 00:00: it begins with day 1.
    assert values(tiles, MIDNIGHT + 3 * DAY_US)[:3] == [1, 2, 3.75]
    assert values(tiles, MIDNIGHT + 4 * DAY_US)[:3] == [0, 2, 3.75]


def test_event_does_not_count_at_its_own_moment() -> None:
    tiles = state((MIDNIGHT, 1.0))
    assert values(tiles, MIDNIGHT) == [0, 0, 0, 0, -1]
    assert values(tiles, MIDNIGHT + 1)[:2] == [1, 1]


def test_event_from_ahead_waits_for_its_time() -> None:
    tiles = state((MIDNIGHT, 1.0), (MIDNIGHT + HEAD_US // 2, 1.0))
    assert values(tiles, MIDNIGHT + 1)[:2] == [1, 1]
    assert values(tiles, MIDNIGHT + HEAD_US // 2 + 1)[:2] == [2, 2]


def test_order_of_events_leaves_no_trace_in_the_bytes() -> None:
    events = [(MIDNIGHT + offset, offset / 7) for offset in (0, 1, HEAD_US, 5 * DAY_US, 5 * DAY_US + 1, 40 * HOUR_US)]
    assert state(*events).pack() == state(*reversed(events)).pack()


def test_unpacked_state_goes_on_like_the_one_that_was_packed() -> None:
    first, late = (MIDNIGHT, 1.0), (MIDNIGHT - 3 * HOUR_US, 2.0)
    again = Tiles(LAYOUT, state(first).pack())
    again.add(late[0], FEEDS, to_micros(late[1]))
    assert again.pack() == state(first, late).pack()


def test_tiles_that_no_window_reaches_are_dropped() -> None:
    day = [(MIDNIGHT + number * DAY_US, 1.0) for number in range(400)]
    # 2 * 2**40 weights are above zero for 40 half-lives and a little: 82 days; what is older is in the base row.
    rows = len(state(*day).pack()) // (8 * LAYOUT.width)
    assert rows < 90
    assert values(state(*day), MIDNIGHT + 400 * DAY_US)[:3] == [2, 400, 400.0]


def test_sum_saturates_in_any_order() -> None:
    # 5 values of 1e12 are 5e18 micro-units, more than 2**62 = 4.6e18.
    ahead = state(*((MIDNIGHT + day * DAY_US, 1e12) for day in range(5)))
    back = state(*((MIDNIGHT + day * DAY_US, 1e12) for day in reversed(range(5))))
    assert values(ahead, MIDNIGHT + 9 * DAY_US)[2] == values(back, MIDNIGHT + 9 * DAY_US)[2] == SUM_CAP / 1e6


def test_unknown_entities_are_at_their_defaults_among_known_ones() -> None:
    packed = state((MIDNIGHT, 1.0)).pack()
    found = collapse(VIEW, [None, packed, None], MIDNIGHT + DAY_US)
    assert found[0].tolist() == found[2].tolist() == [0, 0, 0, 0, -1]
    assert found[1].tolist() == pytest.approx([1, 1, 1, 2**-0.5, 1])
    assert found.dtype == np.float64


def test_history_keeps_n_events_behind_the_head() -> None:
    events = [HistoryEvent(MIDNIGHT + number * HOUR_US, f"e{number}", f"i{number}", "view") for number in range(10)]
    kept = add_events([], events, 3)
    # The newest event is the head; three more behind it.
    assert [event.item_id for event in kept] == ["i9", "i8", "i7", "i6"]
    packed = pack_history(kept)
    assert [event.item_id for event in unpack_history(packed, events[9].occurred_us, 3)] == ["i8", "i7", "i6"]
    assert [event.item_id for event in unpack_history(packed, events[9].occurred_us + 1, 3)] == ["i9", "i8", "i7"]


def test_history_breaks_ties_by_event_id() -> None:
    tied = [HistoryEvent(MIDNIGHT, name, name, "view") for name in ("b", "a", "c")]
    assert [event.event_id for event in add_events([], tied, 2)] == ["c", "b", "a"]
