"""Event histories to compare the executors on; with :mod:`feature_views` and :mod:`feature_lakes` in one place."""

from collections.abc import Iterable
from typing import Any

import msgspec
from feature_lakes import empty_lake, first_occurrences, lake_of, table_of
from feature_reference import Arrival, key_of, reference, same, time_of
from feature_views import ANY, BUY, DAY_US, HOUR_US, LATENESS_US, LOOK, PLAN, VIEWS, aggregate, history, spec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tastemaker.clock import from_us
from tastemaker.events.contract import RETRACTION, Event
from tastemaker.features.plan import ViewPlan

__all__ = [
    "ANY",
    "BUY",
    "DAY_US",
    "EDGES",
    "HISTORIES",
    "HOUR_US",
    "LATENESS_US",
    "LOOK",
    "NOW_US",
    "PLAN",
    "VIEWS",
    "aggregate",
    "empty_lake",
    "events_of",
    "examples",
    "first_occurrences",
    "history",
    "keys_of",
    "lake_of",
    "reference",
    "same",
    "spec",
    "table_of",
]

# Noon of day 18,000 since the epoch: reads happen up to FUTURE_TOLERANCE before the newest event and any time later.
NOW_US = 18_000 * DAY_US + DAY_US // 2


def examples(number: int) -> settings:
    """Settings of a test that looks at so many examples, and at 25 times as many with the thorough profile."""
    return settings(
        max_examples=number * (25 if settings.get_current_profile_name() == "thorough" else 1),
        deadline=None,
        phases=set(Phase) - {Phase.explain},  # explaining takes longer than finding the example
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def events_of(arrivals: Iterable[Arrival]) -> list[Event]:
    """The events without their arrival."""
    return [arrival.event for arrival in arrivals]


def keys_of(view: ViewPlan, arrivals: Iterable[Arrival | Event]) -> list[tuple[str, ...]]:
    """Every entity of a view that occurs, and one that does not."""
    events = [arrival if isinstance(arrival, Event) else arrival.event for arrival in arrivals]
    found = {key for event in events if (key := key_of(view, event)) is not None}
    return [*sorted(found), tuple("nobody" for _ in view.join_keys)]


def _arrival(
    *,
    ago_us: int,
    kind: str,
    user: str | None,
    session: str | None,
    item: str | None,
    category: str | None,
    amounts: tuple[float | None, float | None],
    corrects: int | None = None,
    lag_us: int | None = None,
    number: int = 0,
) -> Arrival:
    event = Event(
        event_id=f"e{number}",
        type=kind,  # type: ignore[arg-type]
        occurred_at=from_us(NOW_US - ago_us),
        user_id=user,
        session_id=session or (None if user else "s1"),
        item_id=item,
        category=category,
        value=amounts[0],
        price=amounts[1],
        corrects=None if corrects is None else f"e{corrects}",
    )
    return _with_lag(event, lag_us)


def _with_lag(event: Event, lag_us: int | None) -> Arrival:
    """It came in so much after it occurred; None for imported history."""
    return Arrival(event, None if lag_us is None else time_of(event) + lag_us)


# Ages that meet every edge: ties, tile borders, the head (10 s), the future (5 s), windows, TTLs, dropped tiles.
AGES_US = st.one_of(
    st.sampled_from([-5_000_000, -1, 0, 1, 5_000_000, 10_000_000, 10_000_001, HOUR_US, DAY_US, 3 * DAY_US]),
    st.integers(-5_000_000, 60_000_000),
    st.integers(0, 6 * DAY_US),
    st.integers(0, 60).map(lambda hours: hours * HOUR_US + HOUR_US // 2),
    st.integers(0, 400 * DAY_US),
)
AMOUNTS = st.one_of(st.none(), st.floats(0, 1e4), st.sampled_from([0.0, 0.0000005, 0.1, 1e6, 1e12]))
LAGS_US = st.one_of(st.none(), st.sampled_from([0, 1, LATENESS_US, LATENESS_US + 1]), st.integers(0, 3 * LATENESS_US))
# Some ids more often than others, so that entities have several events.
ARRIVALS = st.builds(
    _arrival,
    ago_us=AGES_US,
    kind=st.sampled_from([*ANY, "purchase", "wishlist", "search"]),
    user=st.sampled_from(["u1", "u1", "u2", None]),
    session=st.sampled_from(["s1", "s1", "s2", None]),
    item=st.sampled_from(["i1", "i1", "i1", "i2", "i\x1f\x00\x1b3", "'; --", "é\U0001f600", None]),
    category=st.sampled_from(["a", "a", "a/b", "", "ÿ", "\U0001f600", None]),
    amounts=st.tuples(AMOUNTS, AMOUNTS),
    corrects=st.one_of(st.none(), st.none(), st.none(), st.integers(0, 20)),
    lag_us=LAGS_US,
)


@st.composite
def _histories(draw: st.DrawFn) -> list[Arrival]:
    """Events in any order, of which some come again, are corrected or taken back, before or after they come."""
    drawn = draw(st.one_of(st.lists(ARRIVALS, max_size=4), st.lists(ARRIVALS, min_size=6, max_size=18)))
    arrivals = [
        arrival._replace(event=_identified(arrival.event, f"e{number}")) for number, arrival in enumerate(drawn)
    ]
    changes = st.tuples(st.sampled_from(_CHANGES), st.integers(0, 40), st.integers(0, 40), ARRIVALS, LAGS_US)
    for number, (change, what, where, other, lag_us) in enumerate(draw(st.lists(changes, max_size=5))):
        if arrivals:
            old = arrivals[what % len(arrivals)].event
            arrivals.insert(
                where % (len(arrivals) + 1), _with_lag(_changed(old, change, f"c{number}", other.event), lag_us)
            )
    return arrivals


_CHANGES = ("repeat", "repeat with other content", "correct", "correct the amounts", "take back")


def _changed(old: Event, change: str, event_id: str, other: Event) -> Event:
    """An event that has to do with an earlier one; what is corrected may itself correct or be a retraction."""
    if change == "repeat":
        return old
    if change == "repeat with other content":
        return _identified(other, old.event_id)
    if change == "correct":
        return msgspec.structs.replace(other, event_id=event_id, corrects=old.event_id)
    more: dict[str, Any] = {"event_id": event_id, "corrects": old.event_id}
    if change == "take back":
        return msgspec.structs.replace(old, type=RETRACTION, item_id=None, value=None, price=None, **more)
    return msgspec.structs.replace(old, value=other.value, price=other.price, **more)


def _identified(event: Event, event_id: str) -> Event:
    """With this id; what it corrects, if anything, is another one."""
    corrects = None if event.corrects == event_id else event.corrects
    return msgspec.structs.replace(event, event_id=event_id, corrects=corrects)


HISTORIES = _histories()
# One entity with events on both sides of every border: of the head, of tiles, of windows and TTLs, and of the present.
EDGES = [
    _arrival(
        number=number,
        ago_us=ago_us,
        kind="purchase",
        user="u1",
        session="s1",
        item="i1",
        category="a",
        amounts=(1.1 + number, number / 7),
    )
    for number, ago_us in enumerate(
        edge + offset
        for edge in (-4_999_999, 0, 5_000_000, HOUR_US, 2 * HOUR_US, DAY_US, 2 * DAY_US, 3 * DAY_US, 90 * DAY_US)
        for offset in (-1, 0, 1)
    )
]
