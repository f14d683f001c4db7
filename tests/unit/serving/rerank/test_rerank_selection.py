"""What is selected: against the papers' formulas written out, and against what must hold for any input."""

import numpy as np
import pytest
from candidates_twin import active, candidates, facts, policy, rule, unit_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.serving.rerank.compiled_rules import NO_RULES
from tastemaker.serving.rerank.rerank import rerank, warm_up


def standardised(scores):
    scores = np.asarray(scores, dtype=np.float32).astype(np.float64)
    return (scores - scores.mean()) / scores.std()


def test_nothing_asked_for_orders_by_score():
    found = rerank(candidates([0.1, 0.9, -3.0, 0.5]), policy(), NO_RULES, 0, 3)
    assert found.order.tolist() == [1, 3, 0]
    assert found.propensities.tolist() == [1.0, 1.0, 1.0]
    assert found.notes == ()
    assert found.effects == ()


def test_equal_scores_go_by_row_whatever_the_order_of_candidates():
    found = rerank(candidates([0.3, 0.3, 0.3], rows=[7, 2, 5]), policy(), NO_RULES, 0, 3)
    assert found.order.tolist() == [1, 2, 0]


def test_no_candidates_give_an_empty_list():
    found = rerank(candidates([], vectors=np.zeros((0, 4))), policy(diversity={"method": "dpp"}), NO_RULES, 0, 10)
    assert len(found.order) == len(found.propensities) == 0
    assert found.effects == ()


def test_more_places_than_candidates_give_all_of_them():
    assert sorted(rerank(candidates([1, 2, 3]), policy(max_per_brand=1), NO_RULES, 0, 50).order) == [0, 1, 2]


def test_a_list_without_places_is_refused():
    with pytest.raises(ValueError, match="k is 0"):
        rerank(candidates([1.0]), policy(), NO_RULES, 0, 0)


def test_scores_that_are_not_finite_rank_last_and_are_noted():
    found = rerank(candidates([np.nan, 1.0, np.inf, -5.0, -np.inf]), policy(), NO_RULES, 0, 5)
    assert found.order.tolist() == [1, 3, 0, 2, 4]
    assert "3 candidates without a finite score" in found.notes[0].problem


def test_mmr_is_the_formula_of_the_paper():
    scores, vectors = np.random.default_rng(3).normal(size=30), unit_vectors(30, 8, 3)
    relevance = 1 / (1 + np.exp(-standardised(scores)))
    similar = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    expected: list[int] = []
    for _ in range(12):
        left = [i for i in range(30) if i not in expected]
        expected.append(max(left, key=lambda i: 0.6 * relevance[i] - 0.4 * max([0, *similar[i, expected]])))
    given = candidates(scores, vectors=vectors)
    found = rerank(given, policy(diversity={"method": "mmr", "relevance": 0.6}), NO_RULES, 0, 12)
    assert found.order.tolist() == expected


def test_dpp_is_greedy_on_the_determinant():
    scores, vectors = np.random.default_rng(4).normal(size=20), unit_vectors(20, 6, 4)
    utility = standardised(scores)
    kernel = 0.99 * vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(kernel, 1.0)

    def objective(chosen):  # 0.7 × relevance + 0.3 × log-determinant, of the whole list
        return 0.7 * utility[chosen].sum() + 0.3 * np.linalg.slogdet(kernel[np.ix_(chosen, chosen)])[1]

    expected: list[int] = []
    for _ in range(15):  # longer than the vectors have dimensions
        left = [i for i in range(20) if i not in expected]
        expected.append(max(left, key=lambda i: objective([*expected, i])))
    given = candidates(scores, vectors=vectors)
    found = rerank(given, policy(diversity={"method": "dpp", "relevance": 0.7}), NO_RULES, 0, 15)
    assert found.order.tolist() == expected


@pytest.mark.parametrize("method", ["mmr", "dpp"])
def test_diversity_puts_a_duplicate_behind_something_else(method):
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    given = candidates([3.0, 2.9, 2.0], vectors=vectors)
    found = rerank(given, policy(diversity={"method": method, "relevance": 0.5}), NO_RULES, 0, 3)
    assert found.order.tolist() == [0, 2, 1]


def test_diversity_without_vectors_is_off_and_noted():
    found = rerank(candidates([1, 3, 2]), policy(diversity={"method": "mmr"}), NO_RULES, 0, 3)
    assert found.order.tolist() == [1, 2, 0]
    assert found.notes[0] == ("policy:diversity", "off: the candidates have no vectors")


@pytest.mark.parametrize("method", ["mmr", "dpp"])
@pytest.mark.parametrize("vector", [[np.nan, 1.0], [np.inf, 0.0], [1e30, 1e30], [0.0, 0.0]])
def test_vectors_that_are_no_unit_vectors_cost_no_item(method, vector):
    vectors = np.array([vector, [1, 0], vector, [0, 1], vector], dtype=np.float32)
    for chosen in ({}, {"exploration": {"kind": "plackett_luce", "temperature": 1.0}}):
        given = candidates([5, 4, 3, 2, 1], vectors=vectors)
        found = rerank(given, policy(diversity={"method": method}, **chosen), NO_RULES, 1, 5)
        assert sorted(found.order) == [0, 1, 2, 3, 4]
        assert np.isfinite(found.propensities).all()


def test_an_unknown_margin_counts_as_the_mean_and_a_low_stock_costs():
    # Equal scores: only margin and stock decide. Margins 0 and 2 are one deviation from the mean of the known ones.
    given = candidates([1, 1, 1], margins=[0.0, np.nan, 2.0])
    assert rerank(given, policy(margin_weight=1.0), NO_RULES, 0, 3).utilities.tolist() == [-1.0, 0.0, 1.0]
    given = candidates([1, 1, 1], stock=[5.0, np.nan, 0.0])
    found = rerank(given, policy(stock_weight=2.0, stock_half=5.0), NO_RULES, 0, 3)
    assert found.utilities[:2] == pytest.approx([2 * np.log(0.5), 0.0])
    assert found.order.tolist() == [1, 0]  # what is out of stock is out of the list
    assert [(e.candidate, e.after) for e in found.effects if e.rule == "policy:drop_out_of_stock"] == [(2, None)]


def test_margins_that_are_all_unknown_change_nothing():
    given = candidates([0.2, 0.1], margins=[np.nan, np.nan])
    assert rerank(given, policy(margin_weight=5.0), NO_RULES, 0, 2).order.tolist() == [0, 1]


def test_new_items_get_their_share_along_the_list():
    # 10 places, 30 %: one by the 4th place (floor 1.2), two by the 7th (floor 2.1), three by the 10th; new ones score
    # lowest, so each comes exactly then.
    ages = [100.0] * 12 + [1.0] * 4
    given = candidates(np.arange(16, 0, -1), age_days=ages)
    found = rerank(given, policy(new_items={"share": 0.3, "younger_than_days": 7}), NO_RULES, 0, 10)
    assert [place for place, i in enumerate(found.order, start=1) if i >= 12] == [4, 7, 10]


def test_too_few_new_items_are_all_shown_and_noted():
    given = candidates([3, 2, 1, 0], age_days=[50, 50, np.nan, 2])
    found = rerank(given, policy(new_items={"share": 1, "younger_than_days": 7}), NO_RULES, 0, 3)
    assert found.order.tolist() == [3, 0, 1]
    assert found.notes[0].problem.startswith("1 places instead of 3")


def test_a_cap_that_candidates_do_not_suffice_for_is_broken_and_noted():
    found = rerank(candidates([4, 3, 2, 1], brands=[0, 0, 0, 1]), policy(max_per_brand=1), NO_RULES, 0, 4)
    assert found.order.tolist() == [0, 3, 1, 2]
    assert found.over_cap == (2, 3)
    assert found.notes[0].problem.startswith("broken at 3, 4")


def test_a_share_as_cap_is_of_the_list():
    found = rerank(
        candidates([5, 4, 3, 2, 1], categories=[0, 0, 0, 1, 1]), policy(max_per_category=0.5), NO_RULES, 0, 4
    )
    assert found.order.tolist() == [0, 1, 3, 4]


def test_warm_up_runs_for_any_dimension():
    warm_up(4)


@st.composite
def situations(draw):
    n = draw(st.integers(0, 30))
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    scores = rng.choice([rng.normal(size=n), rng.integers(0, 3, n).astype(float)])
    if n and draw(st.booleans()):
        scores[rng.integers(n)] = np.nan
    given = candidates(
        scores,
        rows=rng.permutation(100)[:n],
        vectors=unit_vectors(n, 4, seed) if draw(st.booleans()) else None,
        categories=rng.integers(-1, 3, n),
        brands=rng.integers(-1, 3, n),
        age_days=rng.choice([1.0, 50.0, np.nan], n),
        stock=rng.choice([0.0, 3.0, 80.0, np.nan], n, p=[0.1, 0.3, 0.3, 0.3]),
        margins=rng.choice([0.1, 0.5, np.nan], n),
        prices=rng.choice([5.0, 15.0, np.nan], n),
    )
    chosen = policy(
        diversity=draw(st.sampled_from([None, {"method": "mmr", "relevance": 0.5}, {"method": "dpp"}])),
        max_per_category=draw(st.sampled_from([None, 1, 3, 0.2])),
        max_per_brand=draw(st.sampled_from([None, 1, 4])),
        margin_weight=draw(st.sampled_from([0, 0.5])),
        stock_weight=draw(st.sampled_from([0, 1])),
        new_items=draw(st.sampled_from([None, {"share": 0.25, "younger_than_days": 7}])),
        exploration=draw(
            st.sampled_from(
                [
                    None,
                    {"kind": "epsilon_slots", "places": [2, 5], "epsilon": 0.7, "pool": 5},
                    {"kind": "plackett_luce", "temperature": 0.5},
                ]
            )
        ),
    )
    shop = facts(rng.integers(-1, 4, 100), rng.integers(-1, 3, 100))
    rules = [
        rule("up", "boost", categories=("kitchen",), strength=3.0),
        rule("down", "bury", brands=("acme",), strength=50.0),
        rule("out", "exclude", price_from=10.0, categories=("garden/pots",)),
        rule("few", "cap", categories=("garden",), limit=2),
        rule("first", "pin", brands=("bolt",), position=1),
        rule("third", "pin", items=[int(row) for row in given.rows[:2]] or [0], position=3),
    ]
    rules = draw(st.lists(st.sampled_from(rules), unique_by=lambda rule: rule.id))
    return given, chosen, active(*rules, of=shop), draw(st.integers(0, 2**63 - 1)), draw(st.integers(1, 40))


@settings(max_examples=200, deadline=None)
@given(situations())
def test_any_list_is_a_choice_without_repetition_that_replays_and_explains_itself(situation):
    given, chosen, rules, seed, k = situation
    found = rerank(given, chosen, rules, seed, k)
    allowed = {i for i in range(len(given)) if not given.stock[i] <= 0}
    shown = found.order.tolist()
    assert len(set(shown)) == len(shown) <= k
    assert set(shown) <= allowed
    if not rules.any:
        assert len(shown) == min(k, len(allowed))
    assert ((found.propensities > 0) & (found.propensities <= 1)).all()
    again = rerank(given, chosen, rules, seed, k)
    assert again.order.tolist() == shown
    assert again.propensities.tolist() == found.propensities.tolist()
    # The effects lead each item of the list from its place by score to the one that it has.
    utilities = rerank(given, policy(drop_out_of_stock=False), NO_RULES, 0, max(len(given), 1)).order.tolist()
    places = {candidate: place for place, candidate in enumerate(utilities, start=1)}
    for effect in found.effects:
        assert effect.before != effect.after
        assert effect.row == given.rows[effect.candidate]
        if effect.candidate in shown:
            assert effect.before == places[effect.candidate]
            places[effect.candidate] = effect.after
    assert [places[candidate] for candidate in shown] == list(range(1, len(shown) + 1))


@settings(max_examples=100, deadline=None)
@given(situations(), st.randoms())
def test_the_order_of_candidates_does_not_matter(situation, random):
    given, chosen, rules, seed, k = situation
    order = list(range(len(given)))
    random.shuffle(order)
    mixed = candidates(
        given.scores[order],
        rows=given.rows[order],
        vectors=None if given.vectors is None else given.vectors[order],
        **{
            name: getattr(given, name)[order]
            for name in ("categories", "brands", "age_days", "stock", "margins", "prices")
        },
    )
    rows = given.rows[rerank(given, chosen, rules, seed, k).order].tolist()
    assert mixed.rows[rerank(mixed, chosen, rules, seed, k).order].tolist() == rows


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1, 4), st.floats(-5, 5, width=32)), min_size=1, max_size=40),
    st.integers(1, 5),
    st.integers(1, 40),
)
def test_a_cap_holds_whenever_it_can(items, cap, k):
    categories = np.array([category for category, _ in items])
    found = rerank(
        candidates([score for _, score in items], categories=categories), policy(max_per_category=cap), NO_RULES, 0, k
    )
    # How long a list can be under the cap: all without a category, and of each category as many as the cap allows.
    counts = np.bincount(categories[categories >= 0], minlength=5)
    possible = int((categories < 0).sum() + np.minimum(counts, cap).sum())
    shown = categories[found.order]
    if len(shown) <= possible:
        assert np.bincount(shown[shown >= 0], minlength=5).max() <= cap
        assert found.over_cap == ()
    else:
        assert len(found.over_cap) == len(shown) - possible


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3), st.floats(-5, 5, width=32)), min_size=1, max_size=30),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 30),
)
def test_no_place_breaks_a_cap_while_a_candidate_is_left_that_breaks_none(items, limits, k):
    categories, brands = np.array([item[0] for item in items]), np.array([item[1] for item in items])
    pots = rule("few", "cap", categories=("garden",), limit=limits[2])
    found = rerank(
        candidates([item[2] for item in items], categories=categories, brands=brands),
        policy(max_per_category=limits[0], max_per_brand=limits[1]),
        active(pots, of=facts([0, 1, 2, 3], [0, 1, 2, -1])),
        0,
        k,
    )
    garden = (categories >= 2) & (brands == np.array([0, 1, 2, -1])[categories])  # of the classes of the catalogue

    def breaks(i, before):
        return (
            (categories[i] >= 0 and (categories[before] == categories[i]).sum() >= limits[0])
            + (brands[i] >= 0 and (brands[before] == brands[i]).sum() >= limits[1])
            + bool(garden[i] and garden[before].sum() >= limits[2])
        )

    shown = found.order.tolist()
    for place, i in enumerate(shown):
        left = [j for j in range(len(items)) if j not in shown[:place]]
        assert breaks(i, shown[:place]) == min(breaks(j, shown[:place]) for j in left)
        assert (place in found.over_cap) == (breaks(i, shown[:place]) > 0)
