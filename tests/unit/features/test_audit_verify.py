"""Served values against the lake: equal, tampered with, late, in flight, corrected, of an older version."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from audit_lake import NOW, PLAN, event, lake_with, price, served

from tastemaker.features.audit.served_values import as_served
from tastemaker.features.audit.verify import FeatureTally, Verification, verify
from tastemaker.lake.tables import Lake

HOUR, DAY, MINUTE, SECOND = (timedelta(**{unit: 1}) for unit in ("hours", "days", "minutes", "seconds"))
EVENTS = [
    event("old", 10 * DAY, 100.0),  # before the window: floor to a day of 7 days before noon of 10 March is 3 March
    event("three", 3 * DAY, 10.0),
    event("one", DAY, 5.5, item_id="i2"),
]
ITEMS = [price("i1", 20 * DAY, 4.0), price("i1", HOUR, 6.0), price("i2", 20 * DAY, 3.0)]
# In the week: three and one, 10 + 5.5. Of i1 ever: old and three. Of i2: one. Prices: the newest versions.
RIGHT = {
    "i1": {"bought_7d": 2.0, "spent_7d": 15.5, "pair_bought": 2.0, "price": 6.0},
    "i2": {"bought_7d": 2.0, "spent_7d": 15.5, "pair_bought": 1.0, "price": 3.0},
}


def with_values(**changed: float) -> dict[str, dict[str, float]]:
    """What is right, but for some values of both items."""
    return {item: own | changed for item, own in RIGHT.items()}


def checked(lake: Lake, **more: Any) -> Verification:
    return verify(lake, {"r1": PLAN}.get, NOW - DAY, NOW + DAY, **more)


def tally(found: Verification, feature: str) -> FeatureTally:
    (one,) = [each for each in found.tallies if each.feature == feature]
    return one


def test_values_as_the_lake_gives_them_are_no_mismatch(tmp_path: Path) -> None:
    found = checked(lake_with(tmp_path, EVENTS, ITEMS, [served("q1", RIGHT)]))
    # Two features of the one user, one of each of two pairs, one of each of two items.
    assert found.compared == 2 + 2 + 2
    assert found.tallies == [
        FeatureTally("by_user", "bought_7d", 1, 0, 0, 0),
        FeatureTally("by_user", "spent_7d", 1, 0, 0, 0),
        FeatureTally("by_pair", "pair_bought", 2, 0, 0, 0),
        FeatureTally("profile", "price", 2, 0, 0, 0),
    ]
    assert (found.lists, found.mismatched, found.examples) == (1, 0, [])


def test_value_that_was_tampered_with_is_found_and_shown(tmp_path: Path) -> None:
    found = checked(lake_with(tmp_path, EVENTS, ITEMS, [served("q1", with_values(spent_7d=15.75))]))
    assert tally(found, "spent_7d") == FeatureTally("by_user", "spent_7d", 1, 0, 0, 1)
    assert found.mismatched == 1
    (example,) = found.examples
    assert (example.ids, example.request_id, example.served, example.expected) == (("u1",), "q1", 15.75, 15.5)
    assert example.at_us == int(NOW.timestamp() * 1e6)


def test_event_that_came_in_after_the_read_is_late(tmp_path: Path) -> None:
    late = event("late", HOUR, 4.0, came=-10 * MINUTE)
    found = checked(lake_with(tmp_path, [*EVENTS, late], ITEMS, [served("q1", RIGHT)]))
    # The lake says 3 and 19.5 by now, and 3 of the pair with i1.
    assert tally(found, "bought_7d") == FeatureTally("by_user", "bought_7d", 1, 1, 0, 0)
    assert tally(found, "spent_7d").late == 1
    assert tally(found, "pair_bought") == FeatureTally("by_pair", "pair_bought", 2, 1, 0, 0)
    assert found.mismatched == 0


def test_event_beyond_the_allowed_lateness_counts_nowhere(tmp_path: Path) -> None:
    beyond = event("beyond", 2 * DAY, 4.0, came=-29 * DAY)  # 31 days after it happened; 30 are allowed
    found = checked(lake_with(tmp_path, [*EVENTS, beyond], ITEMS, [served("q1", RIGHT)]))
    assert [each.late + each.mismatched for each in found.tallies] == [0, 0, 0, 0]


def test_events_on_their_way_while_it_was_read_are_in_flight_one_by_one(tmp_path: Path) -> None:
    flying = [
        event("first", 3 * SECOND, 1.0, came=2 * SECOND),
        event("second", 2 * SECOND, 2.0, came=SECOND),
    ]
    # The read saw the first and not the second: 3 and 16.5, and 3 of the pair.
    partly = {"i1": {"bought_7d": 3.0, "spent_7d": 16.5, "pair_bought": 3.0, "price": 6.0}}
    found = checked(lake_with(tmp_path, [*EVENTS, *flying], ITEMS, [served("q1", partly)]))
    assert [each.in_flight for each in found.tallies] == [1, 1, 1, 0]
    # The one that was not seen had come in a second before the read.
    assert [each.longest_flight_us for each in found.tallies] == [1_000_000, 1_000_000, 1_000_000, 0]
    # And what no order of arrival explains is a mismatch: the second without the first.
    other = {"i1": partly["i1"] | {"bought_7d": 3.0, "spent_7d": 17.5}}
    wrong = checked(lake_with(tmp_path / "other", [*EVENTS, *flying], ITEMS, [served("q1", other)]))
    assert tally(wrong, "spent_7d") == FeatureTally("by_user", "spent_7d", 1, 0, 0, 1)


def test_event_that_came_in_long_before_the_read_and_is_missing_is_a_mismatch(tmp_path: Path) -> None:
    missed = event("missed", 10 * MINUTE, 4.0, came=9 * MINUTE)
    found = checked(lake_with(tmp_path, [*EVENTS, missed], ITEMS, [served("q1", RIGHT)]))
    assert tally(found, "bought_7d").mismatched == tally(found, "spent_7d").mismatched == 1
    assert tally(found, "pair_bought").mismatched == 1  # of i1; that of i2 is right


@pytest.mark.parametrize(
    ("came", "value", "outcome"),
    [
        (-HOUR, 15.5, "late"),  # corrected after the read, which rightly saw the original
        (HOUR, 17.5, "compared"),  # before it, and seen
        (HOUR, 15.5, "mismatched"),  # before it, and not seen
    ],
)
def test_correction_counts_from_when_it_came(tmp_path: Path, came: timedelta, value: float, outcome: str) -> None:
    fix = event("fix", DAY, 7.5, item_id="i2", came=came, corrects="one")  # 7.5 in the place of 5.5
    found = checked(lake_with(tmp_path, [*EVENTS, fix], ITEMS, [served("q1", with_values(spent_7d=value))]))
    counts = tally(found, "spent_7d")._asdict()
    expected = {"compared": 1, "late": 0, "in_flight": 0, "mismatched": 0} | {outcome: 1}
    assert {name: counts[name] for name in expected} == expected


def test_retraction_after_the_read_is_late(tmp_path: Path) -> None:
    gone = event("gone", DAY, None, type="retraction", item_id="i2", came=-HOUR, corrects="one")
    found = checked(lake_with(tmp_path, [*EVENTS, gone], ITEMS, [served("q1", RIGHT)]))
    assert [each.late for each in found.tallies] == [1, 1, 1, 0]
    assert found.mismatched == 0


def test_batch_value_of_an_earlier_version_is_late_and_one_of_no_version_a_mismatch(tmp_path: Path) -> None:
    stale = {"i1": RIGHT["i1"] | {"price": 4.0}, "i2": RIGHT["i2"] | {"price": 5.0}}
    found = checked(lake_with(tmp_path, EVENTS, ITEMS, [served("q1", stale)]))
    assert tally(found, "price") == FeatureTally("profile", "price", 2, 1, 0, 1)
    (example,) = found.examples
    assert (example.ids, example.served, example.expected) == (("i2",), 5.0, 3.0)


def test_only_full_answers_of_known_releases_in_the_time_are_compared_each_once(tmp_path: Path) -> None:
    lists = [
        served("q1", RIGHT),
        served("q1", RIGHT),  # delivered twice
        served("gone", RIGHT, release="r0"),
        served("fallback", RIGHT, tier="popular"),
        served("before", RIGHT, at=NOW - 2 * DAY),
        served("after", RIGHT, at=NOW + 2 * DAY),
        served("nobody", {"i1": {"bought_7d": 0.0, "price": 6.0}}, user=None),
        served("nothing", {}),
    ]
    found = checked(lake_with(tmp_path, EVENTS, ITEMS, lists))
    assert (found.lists, found.unknown_releases) == (4, 1)  # q1, gone, nobody, nothing
    assert found.compared == 6 + 1  # of the visitor without a name, the item's price alone
    assert found.mismatched == 0


def test_sample_is_drawn_by_its_seed(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, EVENTS, ITEMS, [served(f"q{n}", with_values(spent_7d=float(n))) for n in range(20)])
    drawn = [[one.request_id for one in checked(lake, sample=5, seed=seed).examples] for seed in (1, 1, 2)]
    assert len(drawn[0]) == 5
    assert drawn[0] == drawn[1] != drawn[2]


def test_views_narrow_it_down(tmp_path: Path) -> None:
    lake = lake_with(tmp_path, EVENTS, ITEMS, [served("q1", with_values(spent_7d=1.0))])
    assert [each.view for each in checked(lake, views=["profile"]).tallies] == ["profile"]


def test_without_lists_nothing_is_compared(tmp_path: Path) -> None:
    assert checked(lake_with(tmp_path)) == Verification(0, 0)


def test_many_cases_are_explained_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tastemaker.features.audit.verify._TRIALS_AT_ONCE", 3)
    late = event("late", HOUR, 4.0, came=-10 * MINUTE)
    lists = [served(f"q{n}", RIGHT, at=NOW + n * MINUTE) for n in range(8)]
    found = checked(lake_with(tmp_path, [*EVENTS, late], ITEMS, lists))
    assert tally(found, "bought_7d") == FeatureTally("by_user", "bought_7d", 8, 8, 0, 0)


def test_values_are_compared_as_they_were_logged() -> None:
    assert as_served(0.1) == pytest.approx(0.1, abs=1e-8)
    assert as_served(0.1) != 0.1  # single precision
    assert as_served(None) == as_served(float("nan")) == 0.0
    assert as_served(True) == 1.0


# One came in a day ago and three came before it; old is beyond the two that the feature lists.
READ = [("i2", "purchase"), ("i1", "purchase"), ("i1", "purchase")]


def test_history_is_compared_as_far_as_its_feature_lists_it(tmp_path: Path) -> None:
    read = {"listed": [[item, kind, 0] for item, kind in READ]}
    found = checked(lake_with(tmp_path, EVENTS, ITEMS, [served("q1", {}, histories=read)]))
    assert found.tallies == [FeatureTally("listed", "newest_items", 1, 0, 0, 0)]


def test_history_in_another_order_is_a_mismatch(tmp_path: Path) -> None:
    read = {"listed": [[item, kind, 0] for item, kind in reversed(READ)]}
    found = checked(lake_with(tmp_path, EVENTS, ITEMS, [served("q1", {}, histories=read)]))
    assert found.mismatched == 1
    (example,) = found.examples
    assert (example.served, example.expected) == (("i1", "i1"), ("i2", "i1"))


def test_history_without_an_event_that_came_in_after_the_read_is_late(tmp_path: Path) -> None:
    late = event("late", HOUR, 4.0, item_id="i3", came=-10 * MINUTE)
    read = {"listed": [[item, kind, 0] for item, kind in READ]}
    found = checked(lake_with(tmp_path, [*EVENTS, late], ITEMS, [served("q1", {}, histories=read)]))
    assert found.tallies == [FeatureTally("listed", "newest_items", 1, 1, 0, 0)]
