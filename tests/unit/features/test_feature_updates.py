"""A state is a function of the set of events: whatever their order, however a stream of them is cut into batches."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_states import DictStore, states

from tastemaker.clock import from_us, to_us
from tastemaker.events.contract import Event
from tastemaker.features.history import unpack_history
from tastemaker.features.layout import label_number
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US, HEAD_US
from tastemaker.features.streaming.batch import EventBatch
from tastemaker.features.streaming.consumed import ConsumedEvent
from tastemaker.features.streaming.row_cache import RowCache
from tastemaker.features.streaming.updates import ViewUpdater

HOUR_US = DAY_US // 24
NOW_US = 18_000 * DAY_US + DAY_US // 2
BUY, ANY = ("purchase",), ("cart_add", "purchase", "retraction", "view")


def spec(name: str, function: str, column: str = "event_id", types: tuple[str, ...] = BUY, **more: Any) -> FeatureSpec:
    return FeatureSpec(name=name, function=function, column=column, types=types, dtype="float64", **more)


def windowed(days: int, hours: int = 24) -> dict[str, int]:
    return {"window_us": days * DAY_US, "slide_us": hours * HOUR_US}


# Every function, over windows, tiles and the lifetime.
FEATURES = (
    spec("n_1d", "count", types=ANY, **windowed(1, 1)),
    spec("n_3d", "count", **windowed(3)),
    spec("spend_3d", "sum", "value", **windowed(3)),
    spec("spend", "sum", "value"),
    spec("priced", "count", "price", ANY),
    spec("mean", "mean", "price", **windowed(3)),
    spec("deviation", "stddev", "value", ANY, **windowed(1, 1)),
    spec("least", "min", "price"),
    spec("most", "max", "value", ANY, **windowed(3)),
    spec("visitors", "approx_distinct", "user_id", n=16),
    spec("visits_3d", "approx_distinct", "session_id", ANY, n=16, **windowed(3)),
    spec("hours", "top_k", "hour", ANY, n=3),
    spec("categories", "top_k", "category", n=2, **windowed(3)),
    spec("spent_on", "top_k", "item_id", n=2, by="value"),
    spec("since", "time_since_last", "occurred_at"),
    spec("ever_since", "time_since_first", "occurred_at", ANY),
    spec("interval", "mean_interval", "occurred_at"),
    spec("decayed", "decayed_count", half_life_us=2 * DAY_US),
    spec("decayed_spend", "decayed_sum", "value", half_life_us=DAY_US),
)


def view(name: str, *join_keys: str, features: tuple[FeatureSpec, ...] = FEATURES, lateness_us: int = 0) -> ViewPlan:
    return ViewPlan(
        name=name,
        kind="history" if features[0].function.startswith("last") else "aggregate",
        entities=join_keys,
        join_keys=join_keys,
        features=features,
        table="events",
        timestamp_field="occurred_at",
        lateness_us=lateness_us,
    )


LISTED = tuple(
    spec(f"{column}_{n}", "last_n", column, ANY, n=n)
    for column, n in (("item_id", 1), ("type", 3), ("category", 2), ("occurred_at", 3), ("value", 3), ("price", 3))
)
VIEWS = (
    view("by_user", "user_id"),
    view("by_item", "item_id", lateness_us=DAY_US),
    view("by_user_category", "user_id", "category", features=FEATURES[:5]),
    view("by_all", "session_id", "user_id", "item_id", features=FEATURES[3:4]),
    view("of_session", "session_id", features=LISTED),
    view("of_user", "user_id", features=LISTED, lateness_us=DAY_US),
)

EDGES_US = (-HEAD_US // 2, 0, HEAD_US // 2, HEAD_US, HOUR_US, DAY_US, 2 * DAY_US, 3 * DAY_US, 4 * DAY_US, 90 * DAY_US)
AGES_US = st.one_of(
    st.tuples(st.sampled_from(EDGES_US), st.integers(-1, 1)).map(sum),
    st.integers(-HEAD_US // 2, 2 * HEAD_US),
    st.integers(0, 5 * DAY_US),
)
TEXTS = st.sampled_from(["a", "b", "é\x1f", "c\x1b\x00", None])


@st.composite
def events(draw: st.DrawFn, number: int) -> tuple[Event, int | None]:
    at_us = NOW_US - draw(AGES_US)
    event = Event(
        event_id=f"e{number}",
        type=draw(st.sampled_from(["view", "purchase", "cart_add", "wishlist", "retraction"])),
        occurred_at=from_us(at_us),
        user_id=draw(TEXTS),
        session_id=draw(TEXTS),
        item_id=draw(TEXTS),
        category=draw(TEXTS),
        value=draw(st.sampled_from([None, 0.0, 0.0000005, 2.55, 1e12])),
        price=draw(st.sampled_from([None, 0.0, 1.1, 3e6])),
    )
    return event, draw(st.sampled_from([None, at_us, at_us + DAY_US, at_us + DAY_US + 1]))


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[ConsumedEvent], list[list[ConsumedEvent]]]:
    """Records, and the batches in which they arrive: each partition in order, some batches and parts of them again."""
    places: dict[int, int] = {}
    records = []
    for number in range(draw(st.integers(0, 20))):
        event, ingested_us = draw(events(number))
        partition = draw(st.integers(-1, 2))
        places[partition] = places.get(partition, -1) + draw(st.integers(1, 3))
        records.append(ConsumedEvent(event, partition, places[partition], ingested_us))
    streamed = [record for record in records if record.partition >= 0]
    batches, at = [], 0
    while at < len(streamed):
        end = draw(st.integers(at + 1, len(streamed)))
        batches.append(streamed[draw(st.integers(0, at)) : end])
        at = end
    return streamed, batches


def run(
    view: ViewPlan, batches: list[list[ConsumedEvent]], cache_bytes: int = 0, piece_bytes: int = 1 << 20
) -> DictStore:
    store, cache = DictStore(), RowCache(cache_bytes)
    updater = ViewUpdater(view, cache, piece_bytes)
    for records in batches:
        change = updater.update(store, EventBatch(records))  # type: ignore[arg-type]
        if change is not None:
            updater.committed(change)
    return store


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@settings(max_examples=120, deadline=None)
@given(
    stream=streams(), cache_bytes=st.sampled_from([0, 2_000, 1 << 20]), piece_bytes=st.sampled_from([1, 300, 1 << 20])
)
def test_states_are_those_of_the_set_of_events_however_they_are_cut_and_repeated(
    view: ViewPlan, stream: tuple[list[ConsumedEvent], list[list[ConsumedEvent]]], cache_bytes: int, piece_bytes: int
) -> None:
    records, batches = stream
    store = run(view, batches, cache_bytes, piece_bytes)
    expected = states(view, records)
    assert {key: state for (_, key), state in store.rows.items()} == expected
    assert all(name == view.signature for name, _ in store.rows)
    if view.kind == "history":
        newest = {key: unpack_history(state)[0].occurred_us for key, state in expected.items()}
        assert {key: at for (_, key), at in store.newest.items()} == newest


def purchase(number: int, at_us: int, **fields: Any) -> Event:
    return Event(event_id=f"e{number}", type="purchase", occurred_at=from_us(at_us), **({"user_id": "u"} | fields))


def test_order_of_arrival_leaves_no_trace_but_offsets() -> None:
    by_user = view("by_user", "user_id")
    shuffled = [purchase(n, NOW_US - age, value=n / 7, price=1.5) for n, age in enumerate((0, 5, HEAD_US, DAY_US, 9))]
    forth = run(by_user, [[ConsumedEvent(e, 0, n)] for n, e in enumerate(shuffled)])
    back = run(by_user, [[ConsumedEvent(e, 0, n)] for n, e in enumerate(reversed(shuffled))])
    assert forth.rows == back.rows


def test_many_events_of_one_entity_in_a_batch_are_merged_and_sums_saturate() -> None:
    by_user = view("by_user", "user_id")
    # 1e12 each: five of them are more than the cap of 2**62 micro-units; 3,000 entries take the sort beyond insertion.
    records = [
        ConsumedEvent(purchase(n, NOW_US - (n * 7919) % 300 * HOUR_US, value=1e12, item_id=f"i{n % 50}"), n % 3, n)
        for n in range(1000)
    ]
    assert run(by_user, [records]).rows == run(by_user, [records[at : at + 7] for at in range(0, 1000, 7)]).rows
    assert {key: state for (_, key), state in run(by_user, [records]).rows.items()} == states(by_user, records)


def test_long_histories_keep_n_events_behind_the_head_in_any_order() -> None:
    of_user = view("of_user", "user_id", features=(spec("items", "last_n", "item_id", BUY, n=40),))
    records = [
        ConsumedEvent(purchase(n, NOW_US - (n * 7919) % 300 * HEAD_US // 30, item_id=f"ï{n}"), 0, n) for n in range(300)
    ]
    at_once = run(of_user, [records])
    assert {key: state for (_, key), state in at_once.rows.items()} == states(of_user, records)
    assert run(of_user, [records[at : at + 11] for at in range(0, 300, 11)]).rows == at_once.rows


def test_redelivered_batch_writes_nothing() -> None:
    for plan in VIEWS[:1] + VIEWS[4:5]:
        store, updater = DictStore(), ViewUpdater(plan, RowCache(0))
        records = [
            ConsumedEvent(purchase(n, NOW_US - n, session_id="s", item_id="i", value=1.0), 0, n) for n in range(4)
        ]
        assert updater.update(store, EventBatch(records)) is not None  # type: ignore[arg-type]
        assert updater.update(store, EventBatch(records[1:3])) is None  # type: ignore[arg-type]


def test_views_without_an_event_in_the_batch_write_nothing() -> None:
    store = run(VIEWS[0], [[ConsumedEvent(purchase(0, NOW_US, user_id=None, session_id="s"), 0, 0)], []])
    assert store.rows == {}


def test_only_leaves_other_keys_alone() -> None:
    store, updater = DictStore(), ViewUpdater(VIEWS[2], RowCache(0))
    records = [ConsumedEvent(purchase(n, NOW_US, category="c", user_id=f"u{n}"), 0, n) for n in range(4)]
    updater.update(store, EventBatch(records), only=lambda key: key.startswith(("u1", "u3")))  # type: ignore[arg-type]
    expected = states(VIEWS[2], [records[1], records[3]])
    assert {key: state for (_, key), state in store.rows.items()} == expected


def test_texts_of_labels_are_stored_once() -> None:
    store, updater = DictStore(), ViewUpdater(VIEWS[0], RowCache(0))
    for number, category in enumerate(["mugs", "mugs", None]):
        record = ConsumedEvent(purchase(number, NOW_US, category=category, item_id="i", value=1.0), 0, number)
        change = updater.update(store, EventBatch([record]))  # type: ignore[arg-type]
        assert change is not None
        assert set(change.labels.values()) == ({"mugs", "12", "i"} if number == 0 else set())
        updater.committed(change)
    assert store.labels == {label_number(text): text for text in ("mugs", "12", "i")}


def test_cache_answers_what_was_written_and_stays_within_its_bytes() -> None:
    by_user = view("by_user", "user_id", features=FEATURES[3:4])
    store, cache = DictStore(), RowCache(100_000)
    updater = ViewUpdater(by_user, cache)
    for number in range(2_000):
        at = NOW_US + number * int(timedelta(minutes=1) / timedelta(microseconds=1))
        record = ConsumedEvent(purchase(number, at, user_id=f"u{number % 1000}", value=1.0), 0, number)
        change = updater.update(store, EventBatch([record]))  # type: ignore[arg-type]
        assert change is not None
        updater.committed(change)
        assert cache.size <= 100_000
    assert store.reads == 2_000  # a thousand users do not fit: each comes back after it was dropped
    assert run(by_user, [[record]] * 3, 100_000).reads == 1


def test_cache_forgets_what_others_wrote_and_what_does_not_fit() -> None:
    cache = RowCache(10_000)
    cache.put("v", ["a", "b"], [b"1", b"2"])
    cache.drop("v", ["a", "unknown"])
    assert cache.get("v", ["a", "b"]) == [None, b"2"]
    cache.put("v", ["b"], [bytes(6_000)])  # more than a generation: the old value must not answer
    assert cache.get("v", ["b"]) == [None]
    cache.put("w", ["c"], [bytes(4_000)])
    cache.put("w", ["d"], [bytes(4_000)])
    assert cache.get("w", ["c", "d"]) == [bytes(4_000)] * 2
    cache.put("w", ["c"], [b"newer"])
    assert cache.get("w", ["c"]) == [b"newer"]
    cache.clear()
    assert cache.get("w", ["c", "d"]) == [None, None]
    assert cache.size == 0


def test_times_of_other_timezones_count_as_utc() -> None:
    event = purchase(0, NOW_US)
    assert EventBatch([ConsumedEvent(event, 0, 0)]).at_us.tolist() == [to_us(event.occurred_at)] == [NOW_US]
