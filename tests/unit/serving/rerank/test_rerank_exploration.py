"""Chance: what it may do, how likely it says it was, and whether estimates that rest on it are right."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from candidates_twin import active, candidates, facts, policy, rule
from pydantic import ValidationError

from tastemaker.serving.rerank.compiled_rules import NO_RULES
from tastemaker.serving.rerank.explore import _uniforms, seed_of
from tastemaker.serving.rerank.rerank import rerank

N, K = 12, 4
GIVEN = candidates(np.linspace(2, 0, N))
GOLDEN_SEED = 3619769940610793725
GOLDEN_ORDER = [2, 0, 6, 8, 1, 3]
REWARD = np.random.default_rng(0).uniform(0, 1, N)  # of showing each item, known here


def lists(chosen, runs, k=K, given=GIVEN, rules=NO_RULES):
    return [rerank(given, chosen, rules, seed_of(f"request-{run}"), k) for run in range(runs)]


def test_slots_change_their_places_alone():
    slots = {"kind": "epsilon_slots", "places": [2, 4, 90], "epsilon": 1.0, "pool": 5}
    for found in lists(policy(exploration=slots), 200):
        assert found.order[[0, 2]].tolist() == [0, 2]
        assert found.propensities[[0, 2]].tolist() == [1, 1]
        assert found.explored == (1, 3)
        assert {*found.order[[1, 3]]} <= {4, 5, 6, 7, 8}
        assert found.propensities[[1, 3]].tolist() == [0.2, 0.2]
        assert {e.rule for e in found.effects} == {"policy:exploration"}


def test_slots_show_items_as_often_as_their_propensities_say():
    runs, epsilon, pool = 6000, 0.4, 5
    slots = {"kind": "epsilon_slots", "places": [2, 4], "epsilon": epsilon, "pool": pool}
    found = lists(policy(exploration=slots), runs)
    for place in (1, 3):
        counts = Counter(int(one.order[place]) for one in found)
        assert set(counts) == {place, 4, 5, 6, 7, 8}
        for item, count in counts.items():
            p = 1 - epsilon if item == place else epsilon / pool
            said = [one.propensities[place] for one in found if one.order[place] == item]
            assert said == pytest.approx([p] * count)
            # A count is binomial: five standard deviations are left once in 1.7 million.
            assert abs(count - runs * p) < 5 * np.sqrt(runs * p * (1 - p))


def test_the_inverse_propensity_estimate_of_slots_is_unbiased():
    # What would it bring to show item 4 + j at the second place with probability w_j? Known: the weighted reward.
    runs, epsilon, pool = 6000, 0.5, 5
    slots = {"kind": "epsilon_slots", "places": [2], "epsilon": epsilon, "pool": pool}
    target = {4: 0.1, 5: 0.4, 6: 0.2, 7: 0.2, 8: 0.1}
    truth = sum(weight * REWARD[item] for item, weight in target.items())
    found = lists(policy(exploration=slots), runs)
    terms = [target.get(int(one.order[1]), 0.0) * REWARD[one.order[1]] / one.propensities[1] for one in found]
    # The variance of one term: sum of w² r² / p, less the mean squared.
    variance = sum((w * REWARD[i]) ** 2 / (epsilon / pool) for i, w in target.items()) - truth**2
    assert abs(np.mean(terms) - truth) < 5 * np.sqrt(variance / runs)


def test_plackett_luce_gives_each_list_the_probability_that_it_says():
    # Three items, all orders of two: p(a, b) = e^a / Z · e^b / (Z - e^a), with utilities over the temperature.
    given = candidates([1.0, 0.0, -1.0])
    runs = 6000
    found = lists(policy(exploration={"kind": "plackett_luce", "temperature": 2.0}), runs, k=2, given=given)
    weights = np.exp(found[0].utilities / 2.0)
    counts = Counter(tuple(one.order.tolist()) for one in found)
    assert len(counts) == 6
    for (a, b), count in counts.items():
        p = weights[a] / weights.sum() * weights[b] / (weights.sum() - weights[a])
        said = {round(float(one.propensities.prod()), 12) for one in found if one.order.tolist() == [a, b]}
        assert said == {round(float(p), 12)}
        assert abs(count - runs * p) < 5 * np.sqrt(runs * p * (1 - p))


def test_the_estimate_by_the_product_of_conditional_propensities_is_unbiased():
    # The target always shows the list without chance; its value is the reward of its items.
    given, runs = candidates(np.linspace(1, 0, 5), categories=[0, 0, 1, 1, 2]), 6000
    chosen = {"max_per_category": 1, "exploration": {"kind": "plackett_luce", "temperature": 1.0}}
    target = rerank(given, policy(max_per_category=1), NO_RULES, 0, 3).order.tolist()
    truth = REWARD[target].sum()
    found = lists(policy(**chosen), runs, k=3, given=given)
    hits = [one for one in found if one.order.tolist() == target]
    p = float(hits[0].propensities.prod())
    estimate = sum(REWARD[one.order].sum() / one.propensities.prod() for one in hits) / runs
    assert abs(estimate - truth) < 5 * truth * np.sqrt((1 / p - 1) / runs)
    assert {one.propensity for one in found} == {"conditional"}


def test_draws_are_those_of_splitmix64():
    # The first outputs for the seed 1234567, as Rosetta Code's "Pseudo-random numbers/Splitmix64" lists them; a draw is
    # the upper 53 bits.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert list(islice(_uniforms(1234567), 4)) == [(one >> 11) / 2**53 for one in expected]


def test_a_request_that_was_logged_long_ago_draws_as_it_did():
    # A golden draw: any change of it makes logged requests of before fail to replay.
    chosen = policy(exploration={"kind": "plackett_luce", "temperature": 1.0})
    assert seed_of("request-1") == GOLDEN_SEED
    assert rerank(GIVEN, chosen, NO_RULES, GOLDEN_SEED, 6).order.tolist() == GOLDEN_ORDER


def test_a_low_temperature_gives_the_deterministic_list():
    for found in lists(policy(exploration={"kind": "plackett_luce", "temperature": 1e-3}), 20):
        assert found.order.tolist() == [0, 1, 2, 3]
        assert found.propensities == pytest.approx(np.ones(4))


def test_the_same_request_draws_the_same_and_others_draw_otherwise():
    chosen = policy(exploration={"kind": "plackett_luce", "temperature": 1.0})
    one, again, other = (rerank(GIVEN, chosen, NO_RULES, seed_of(name), 8).order.tolist() for name in ("a", "a", "b"))
    assert one == again != other


def test_exploration_keeps_caps_whatever_it_draws():
    # Two of each brand may be in the list of four; it has two of brand 0, so nobody else of brand 0 is a runner-up, and
    # of brand 2 only two are.
    given = candidates(np.linspace(2, 0, N), brands=[0, 0, 1, 1, *[0] * 4, *[2] * 4])
    slots = {"kind": "epsilon_slots", "places": [1, 2, 3, 4], "epsilon": 0.8, "pool": 10}
    for found in lists(policy(max_per_brand=2, exploration=slots), 200, given=given):
        assert np.bincount(given.brands[found.order]).max() <= 2
        # Only the two of brand 2 may come in, so that only the first two slots are used.
        assert set(found.explored) <= {0, 1}
        assert set(found.propensities.round(12)) <= {0.8 / 2, round(1 - 0.8, 12), 1.0}


def test_fewer_runners_up_than_slots_leave_slots_alone():
    slots = {"kind": "epsilon_slots", "places": [1, 2, 3], "epsilon": 1.0}
    found = rerank(candidates([4, 3, 2, 1]), policy(exploration=slots), NO_RULES, 5, 3)
    assert found.order.tolist() == [3, 1, 2]
    assert found.explored == (0,)


def test_a_pinned_place_is_not_explored():
    rules = active(rule("p", "pin", items=[11], position=2), of=facts([0] * N, [0] * N))
    slots = {"kind": "epsilon_slots", "places": [2, 3], "epsilon": 1.0}
    for found in lists(policy(exploration=slots), 20, rules=rules):
        assert found.order[1] == 11
        assert found.explored == (2,)


def test_exploration_of_new_items_draws_only_those_and_leaves_their_share_alone():
    given = candidates(np.linspace(2, 0, N), age_days=[90] * 6 + [1] * 6)
    slots = {"kind": "epsilon_slots", "places": [4], "epsilon": 1.0, "only_new": True}
    chosen = policy(exploration=slots, new_items={"share": 0.25, "younger_than_days": 7})
    for found in lists(chosen, 50, given=given):
        assert found.order[:3].tolist() == [0, 1, 6]  # one of four, not counting the slot
        assert found.order[3] >= 7


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"exploration": {"kind": "epsilon_slots", "places": [], "epsilon": 0.1}}, "places"),
        ({"exploration": {"kind": "epsilon_slots", "places": [3, 3], "epsilon": 0.1}}, "twice"),
        (
            {"exploration": {"kind": "epsilon_slots", "places": [3], "epsilon": 0.1, "only_new": True}},
            "needs new_items",
        ),
        ({"exploration": {"kind": "luck"}}, "exploration"),
        ({"max_per_brand": 2.5}, "no whole number"),
        ({"diversity": {"method": "mmr", "relevance": 2}}, "diversity.relevance"),
        ({"diversty": None}, "diversty"),
        ({"margin_weight": float("nan")}, "margin_weight"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_with_its_field(values, said):
    with pytest.raises(ValidationError, match=said):
        policy(**values)
