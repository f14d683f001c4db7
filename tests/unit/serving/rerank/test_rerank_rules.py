"""What rules do to a list, and what happens when they contradict each other."""

from datetime import UTC, datetime

import numpy as np
import pytest
from candidates_twin import NOW_US, active, candidates, facts, policy, rule

from tastemaker.clock import from_us
from tastemaker.serving.rerank.rerank import rerank

SHOP = facts(categories=[0, 0, 1, 2, 3, -1], brands=[0, 1, 0, 1, 2, -1])
ALL = dict(categories=[0, 0, 1, 2, 3, -1], brands=[0, 1, 0, 1, 2, -1], prices=[4, 8, 15, 16, 23, 42])


def listed(*rules, scores=(6, 5, 4, 3, 2, 1), k=6, of=None, now_us=NOW_US, surface="home", **fields):
    given = candidates(scores, **ALL)
    return rerank(given, policy(**fields), active(*rules, of=of or SHOP, now_us=now_us, surface=surface), 0, k)


@pytest.mark.parametrize("shift", [0.0, -1000.0])
def test_a_boost_of_e_is_worth_one_standard_deviation_whatever_the_scores_sign(shift):
    scores = np.array([6.0, 5, 4, 3, 2, 1]) + shift
    found = listed(rule("up", "boost", items=[5], strength=float(np.e)), scores=scores)
    plain = listed(scores=scores)
    assert found.utilities - plain.utilities == pytest.approx([0, 0, 0, 0, 0, 1])
    # The deviation of 1 … 6 is 1.708: item 5 has 1 + 1.708 = 2.708, between items 3 (3) and 4 (2).
    assert found.order.tolist() == [0, 1, 2, 3, 5, 4]
    assert found.effects == ((4, 4, "up", 5, 6), (5, 5, "up", 6, 5))


def test_boost_and_bury_of_one_item_cancel():
    found = listed(rule("up", "boost", items=[2], strength=4.0), rule("down", "bury", brands=("acme",), strength=4.0))
    # Items 0 and 2 are of acme: 2 is where it was, 0 loses ln 4 = 1.39 deviations of 1.708: 6 - 2.37 = 3.63.
    assert found.order.tolist() == [1, 2, 0, 3, 4, 5]


def test_a_category_stands_for_all_below_it_and_not_for_a_longer_name():
    found = listed(rule("out", "exclude", categories=("garden/pots",)))
    assert found.order.tolist() == [0, 1, 2, 5]  # garden/pots and garden/pots/clay are out
    assert listed(rule("out", "exclude", categories=("garden/po",))).order.tolist() == [0, 1, 2, 3, 4, 5]


def test_conditions_of_several_kinds_must_all_hold():
    found = listed(rule("out", "exclude", categories=("kitchen",), brands=("acme", "cero"), price_to=10.0))
    assert found.order.tolist() == [1, 2, 3, 4, 5]
    assert listed(rule("out", "exclude", items=[0, 1], brands=("bolt",))).order.tolist() == [0, 2, 3, 4, 5]


def test_a_price_at_the_edge_is_in_the_range_and_an_unknown_one_in_none():
    given = candidates([3, 2, 1], prices=np.array([19.99, 20.0, np.nan]))
    rules = active(rule("out", "exclude", price_from=0.0, price_to=19.99), of=facts([0] * 3, [0] * 3))
    assert rerank(given, policy(), rules, 0, 3).order.tolist() == [1, 2]


@pytest.mark.parametrize("position", [1, 2, 4, 5])
def test_a_pin_lands_at_its_position_and_counts_for_caps(position):
    found = listed(rule("here", "pin", items=[1], position=position), max_per_category=1, k=5)
    assert found.order[position - 1] == 1
    assert 0 not in found.order  # the better one of the same category
    assert found.propensities[position - 1] == 1.0
    assert found.notes == ()


def test_pins_are_not_held_off_by_caps():
    pins = [rule(f"p{row}", "pin", items=[row], position=row + 1) for row in (0, 1)]
    assert listed(*pins, max_per_category=1, k=3).order.tolist() == [0, 1, 2]


def test_a_pin_of_a_category_takes_its_best_item():
    found = listed(rule("here", "pin", categories=("garden",), position=1))
    assert found.order.tolist() == [3, 0, 1, 2, 4, 5]


def test_of_two_pins_at_one_position_the_one_added_first_has_it():
    found = listed(rule("b", "pin", items=[5], position=2), rule("a", "pin", items=[4], position=2))
    assert found.order.tolist() == [0, 5, 4, 1, 2, 3]
    assert found.notes == (("a", "is at 3: b, which was added before it, has 2"),)


def test_a_pin_that_lost_its_place_takes_none_that_another_one_wants():
    pins = [("a", 5, 1), ("b", 4, 1), ("c", 3, 2), ("d", 2, 50), ("e", 1, 6)]
    found = listed(*(rule(name, "pin", items=[item], position=position) for name, item, position in pins))
    assert found.order.tolist() == [5, 3, 4, 0, 2, 1]  # d: 6 is taken, the next one above is 5
    assert [note.rule for note in found.notes] == ["b", "d"]


def test_of_two_pins_of_one_item_the_one_added_first_has_it():
    found = listed(rule("a", "pin", items=[5], position=2), rule("b", "pin", items=[5], position=1))
    assert found.order.tolist() == [0, 5, 1, 2, 3, 4]
    assert found.notes == (("b", "not pinned: i5 is pinned by a rule before it"),)


def test_a_pin_of_what_is_excluded_is_left_out_and_noted():
    found = listed(rule("a", "pin", items=[5], position=1), rule("b", "exclude", items=[5]))
    assert 5 not in found.order
    assert found.notes == (("a", "not pinned: i5 is excluded by another rule, or out of stock"),)
    assert (5, 5, "b", 6, None) in found.effects


def test_a_pin_of_an_item_that_is_no_candidate_is_noted():
    shop = facts([0] * 8, [0] * 8)
    found = listed(rule("a", "pin", items=[7], position=1), of=shop)
    assert found.order.tolist() == [0, 1, 2, 3, 4, 5]
    assert "no matching item is among the candidates" in found.notes[0].problem


def test_the_rows_that_pins_want_are_told_so_that_they_can_be_fetched():
    rules = active(
        rule("a", "pin", items=[4, 2], position=1), rule("b", "pin", items=[5], position=1, surfaces=("cart",)), of=SHOP
    )
    assert rules.wanted_rows.tolist() == [2, 4]


def test_a_pin_past_the_end_is_at_the_last_place():
    found = listed(rule("a", "pin", items=[5], position=50), k=3)
    assert found.order.tolist() == [0, 1, 5]
    assert "the list has no place 50" in found.notes[0].problem


def test_more_pins_than_places_fill_the_list():
    found = listed(*(rule(f"p{row}", "pin", items=[row], position=1) for row in (5, 4, 3)), k=2)
    assert found.order.tolist() == [5, 4]
    assert found.notes[-1] == ("p3", "not pinned: all 2 places of the list are pinned by rules before it")


def test_a_cap_rule_counts_pins_and_holds_the_others_off():
    found = listed(
        rule("few", "cap", categories=("kitchen",), limit=1), rule("here", "pin", items=[2], position=2), k=3
    )
    assert found.order.tolist() == [3, 2, 4]  # item 2 is the one of the kitchen
    assert {(e.candidate, e.after) for e in found.effects if e.rule == "here"} == {(2, 2)}


def test_a_rule_counts_from_its_beginning_until_its_end_and_on_its_surfaces():
    since, until = from_us(NOW_US), from_us(NOW_US + 1_000_000)
    out = rule("out", "exclude", items=[0], since=since, until=until, surfaces=("home", "cart"))
    first = {
        (surface, at): listed(out, now_us=NOW_US + at, surface=surface).order[0]
        for surface in ("home", "cart", "search") for at in (-1, 0, 999_999, 1_000_000)
    }  # fmt: skip
    for (surface, at), shown in first.items():
        assert shown == (1 if surface != "search" and 0 <= at < 1_000_000 else 0), (surface, at)


def test_one_compiled_set_follows_the_time_without_being_compiled_again():
    out = rule("out", "exclude", items=[0], until=from_us(NOW_US))
    before = active(out, of=SHOP, now_us=NOW_US - 1)
    assert before.any
    assert not before.compiled.at("home", NOW_US).any
    assert before.compiled.at("home", NOW_US - 5) is before


def test_disabled_and_expired_rules_do_nothing():
    over = datetime(2020, 1, 1, tzinfo=UTC)
    found = listed(
        rule("off", "exclude", items=[0], enabled=False),
        rule("over", "pin", items=[5], position=1, until=over),
        rule("weak", "boost", items=[5], strength=900.0, since=datetime(2100, 1, 1, tzinfo=UTC)),
    )
    assert found.order.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.notes == found.effects == ()


def test_every_candidate_excluded_gives_an_empty_list():
    found = listed(rule("out", "exclude", price_from=0.0), rule("p", "pin", items=[0], position=1))
    assert len(found.order) == 0
    assert found.notes[0].rule == "p"


def test_an_excluded_item_does_not_come_back_by_exploration():
    slots = {"kind": "epsilon_slots", "places": [1, 2], "epsilon": 1.0}
    for seed in range(50):
        given = candidates([6, 5, 4, 3, 2, 1], **ALL)
        rules = active(rule("out", "exclude", items=[5]), of=SHOP)
        assert 5 not in rerank(given, policy(exploration=slots), rules, seed, 3).order
