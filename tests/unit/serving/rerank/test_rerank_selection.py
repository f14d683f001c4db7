"""What is selected: against the papers' formulas written out."""

import numpy as np
import pytest
from candidates_twin import candidates, policy, unit_vectors

from tastemaker.serving.rerank.compiled_rules import NO_RULES
from tastemaker.serving.rerank.match_kernel import match
from tastemaker.serving.rerank.rerank import rerank, warm_up
from tastemaker.serving.rerank.select_kernel import select


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


def test_warm_up_compiles_what_a_request_with_vectors_of_any_dimension_runs():
    warm_up(4)
    compiled = [len(loop.signatures) for loop in (match, select)]
    assert all(compiled)
    rerank(candidates([3, 2, 1], vectors=unit_vectors(3, 7, 1)), policy(diversity={"method": "mmr"}), NO_RULES, 0, 2)
    assert [len(loop.signatures) for loop in (match, select)] == compiled
