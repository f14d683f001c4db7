"""Where a value comes from: the events that count, those that do not, and why."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from audit_lake import BY_USER, NOW, OF_VISIT, PLAN, PROFILE, append, event, lake_with, price

from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.features.audit.definition import defined
from tastemaker.features.audit.explain import Explanation, explain_feature, find_feature
from tastemaker.features.audit.near_ids import near_ids
from tastemaker.features.plan import FeaturePlan, FeatureSpec
from tastemaker.lake.tables import Lake

HOUR, DAY, MINUTE = (timedelta(**{unit: 1}) for unit in ("hours", "days", "minutes"))
NOW_US = to_us(NOW)
EVENTS = [
    event("old", 10 * DAY, 100.0),
    event("three", 3 * DAY, 10.0),
    event("one", DAY, 5.5, item_id="i2"),
]


def explained(lake: Lake, feature: str, at_us: int = NOW_US, limit: int = 20, **ids: str) -> Explanation:
    return explain_feature(lake, PLAN, feature, ids or {"user_id": "u1"}, at_us, limit=limit)


def shown(found: Explanation) -> list[tuple[str, str]]:
    return [(one.columns["event_id"], one.left_out) for one in found.evidence]


def test_events_in_the_window_count_and_the_first_before_it_is_shown(tmp_path: Path) -> None:
    older = event("older", 11 * DAY, 1.0)
    found = explained(lake_with(tmp_path, [*EVENTS, older]), "spent_7d")
    # From 3 March 00:00, 7 days before noon of 10 March rounded down to a day: 10 + 5.5.
    assert found.value == 15.5
    assert found.begin is not None
    assert found.begin.isoformat() == "2026-03-03T00:00:00+00:00"
    assert shown(found) == [("one", ""), ("three", ""), ("old", "before the window")]
    assert (found.events, found.left_out) == (2, {"before the window": 2})
    assert found.ids == {"user_id": "u1"}


def test_corrected_late_future_and_empty_events_are_left_out_with_the_reason(tmp_path: Path) -> None:
    events = [
        *EVENTS,
        event("fix", DAY, 7.5, item_id="i2", corrects="one"),
        event("late", 2 * DAY, 9.0, came=-29 * DAY),  # 31 days after it happened
        event("later", -HOUR, 9.0, came=-HOUR),
        event("free", 2 * DAY, None),
    ]
    found = explained(lake_with(tmp_path, events), "spent_7d")
    assert found.value == 17.5  # 10 + 7.5, which stands in the place of 5.5
    assert (found.events, found.left_out) == (
        2,
        {
            "at or after this moment": 1,
            "corrected": 1,
            "came in later than 30d after it happened": 1,
            "has no value": 1,
            "before the window": 1,
        },
    )
    assert ("one", "corrected by fix") in shown(found)
    assert {event_id for event_id, why in shown(found) if not why} == {"fix", "three"}
    # A count needs no value.
    assert explained(lake_with(tmp_path / "count", events), "bought_7d").value == 3


def test_limit_bounds_what_is_shown_not_what_is_counted(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, [event(f"e{n}", n * MINUTE, 1.0, came=n * MINUTE) for n in range(1, 31)])
    found = explained(lake, "bought_7d", limit=4)
    assert (found.value, found.events) == (30, 30)
    assert shown(found) == [("e1", ""), ("e2", ""), ("e3", ""), ("e4", "")]


def test_ratio_is_explained_by_its_parts(tmp_path: Path) -> None:
    found = explained(lake_with(tmp_path, EVENTS), "spent_each_7d")
    assert found.value == 15.5 / 2
    assert [(part.feature, part.value, part.events) for part in found.parts] == [
        ("spent_7d", 15.5, 2),
        ("bought_7d", 2, 2),
    ]
    assert found.evidence == []


def test_functions_that_look_at_some_events_say_so(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, EVENTS)
    since = explained(lake, "days_since")
    assert since.value == 1.0  # one, a day ago
    assert (since.events, since.left_out) == (1, {"only the newest counts": 2})
    listed = explained(lake, "newest_items")
    assert listed.value == ["i2", "i1"]
    assert shown(listed) == [("one", ""), ("three", ""), ("old", "only the 2 newest count")]


def test_values_that_are_forgotten_say_so(tmp_path: Path) -> None:
    events = [event("e1", 25 * HOUR, session_id="s1"), event("e2", 2 * DAY, session_id="s1")]
    lake = lake_with(tmp_path, events)
    found = explained(lake, "visit_bought", session_id="s1")
    assert found.value == 0  # 25 hours since the newest, and it lives for a day
    assert (found.events, found.left_out) == (0, {"forgotten: the newest is more than 1d old": 2})
    before = explained(lake, "visit_bought", at_us=NOW_US - 2 * 3_600_000_000, session_id="s1")
    assert (before.value, before.events) == (2, 2)  # 23 hours after the newest


def test_batch_value_is_explained_by_versions(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, EVENTS, [price("i1", 9 * DAY, 4.0), price("i1", HOUR, 6.0), price("i1", -DAY, 9.0)])
    found = explained(lake, "price", item_id="i1")
    assert found.value == 6.0
    assert [(one.columns["price"], one.left_out) for one in found.evidence] == [
        (9.0, "at or after this moment"),
        (6.0, ""),
        (4.0, "a newer version replaced it"),
    ]
    assert found.events == 1


def test_key_of_two_ids_takes_both(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, EVENTS)
    assert explained(lake, "pair_bought", user_id="u1", item_id="i1").value == 2
    with pytest.raises(DataError, match=r"pair_bought is of a user and item; say which one with --item$"):
        explained(lake, "pair_bought", user_id="u1")


def test_unknown_entity_has_the_default_and_no_events(tmp_path: Path) -> None:
    found = explained(lake_with(tmp_path, EVENTS), "spent_7d", user_id="nobody")
    assert (found.value, found.events, found.left_out, found.evidence) == (0.0, 0, {}, [])


def test_unknown_feature_names_those_that_are_close() -> None:
    with pytest.raises(DataError, match=r"no feature is called 'spend_7d'; is it spent_7d or "):
        find_feature(PLAN, "spend_7d")
    with pytest.raises(DataError, match=r"no feature is called 'xyzzy'; `tastemaker features list` shows all"):
        find_feature(PLAN, "xyzzy")


def test_feature_of_two_views_wants_its_view() -> None:
    twin = FeatureSpec(name="price", dtype="float64", column="price", default=0.0)
    other = type(PROFILE)(
        **{name: getattr(PROFILE, name) for name in PROFILE.__struct_fields__} | {"name": "other", "features": (twin,)}
    )
    plan = FeaturePlan(views=(PROFILE, other))
    with pytest.raises(DataError, match=r"say one of profile\.price, other\.price"):
        find_feature(plan, "price")
    assert find_feature(plan, "other.price") == (other, twin)


def test_derived_feature_wants_the_fields_of_the_request(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, EVENTS)
    with pytest.raises(DataError, match="say --request requested_us="):
        explained(lake, "unused", user_id="u1")
    with pytest.raises(DataError, match="requested_us is 'noon', but unused takes a int64"):
        explained(lake, "unused", user_id="u1", requested_us="noon")


@pytest.mark.parametrize(
    ("view", "feature", "expected"),
    [
        (
            BY_USER,
            "spent_7d",
            "sum of value over purchase events of one user in the last 7d (the window's beginning moves in steps of"
            " 1d); 0.0 where nothing is known",
        ),
        (BY_USER, "spent_each_7d", "spent_7d divided by bought_7d, of one user; 0.0 where nothing is known"),
        (
            OF_VISIT,
            "visit_bought",
            "number of purchase events of one session; forgotten 1d after the newest event; 0 where nothing is known",
        ),
        (PROFILE, "price", "column price of the newest row of one item in table items; 0.0 where nothing is known"),
    ],
)
def test_definition_is_a_sentence(view: Any, feature: str, expected: str) -> None:
    assert defined(view, view.feature(feature)) == expected


def test_ids_that_are_almost_the_same_are_found(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, [event(f"e{user}", HOUR, user_id=user) for user in ("17850", "17851", "90000")])
    assert near_ids(lake, "user_id", "17850") == (True, [])
    assert near_ids(lake, "user_id", "1785x") == (False, ["17850", "17851"])
    assert near_ids(lake, "user_id", "nothing like it") == (False, [])
    append(lake, "events", [event("quote", HOUR, user_id="o'brien")])
    assert near_ids(lake, "user_id", "o'brian") == (False, ["o'brien"])
