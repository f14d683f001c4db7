import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from tastemaker.evaluation import beyond_accuracy
from tastemaker.evaluation.similarity import by_co_occurrence, by_path, by_vector, diversity


def test_novelty_is_the_mean_self_information_in_bits():
    # 8 users: items taken by 4, 2 and 1 of them tell 1, 2 and 3 bits.
    popularity = np.array([4.0, 2.0, 1.0])
    assert beyond_accuracy.novelty(np.array([[0, 1], [2, -1]]), popularity, 8).tolist() == [1.5, 3.0]


def test_an_item_that_nobody_took_tells_as_much_as_one_that_one_took():
    assert beyond_accuracy.self_information(np.array([0.0, 1.0]), 4).tolist() == [2.0, 2.0]


def test_an_empty_list_has_no_mean():
    assert np.isnan(beyond_accuracy.list_mean(np.array([[-1, -1]]), np.array([1.0]))).all()


def test_serendipity_counts_hits_outside_of_the_most_popular():
    # k = 2: items 0 and 1 are expected. User 0 has hits on 0 and 3: one of two places is a surprise.
    ranked = np.array([[0, 3], [2, 1]])
    hit = np.array([[True, True], [False, True]])
    assert beyond_accuracy.serendipity(ranked, hit, np.array([9.0, 8.0, 1.0, 1.0])).tolist() == [0.5, 0.0]


def test_calibration_is_the_divergence_of_the_shares():
    # History: two of category 0, two of category 1, p = (.5, .5). List: category 0 only, q = (1, 0),
    # blended with .01: (.995, .005). KL = .5 ln(.5/.995) + .5 ln(.5/.005) = 1.9585... (by hand: -.34406 + 2.30259)
    history = sparse.csr_matrix(np.array([[2.0, 0.0, 2.0]]))
    categories = np.array([0, 0, 1])
    found = beyond_accuracy.calibration(np.array([[0, 1]]), history, categories)
    assert found[0] == pytest.approx(0.5 * np.log(0.5 / 0.995) + 0.5 * np.log(0.5 / 0.005))
    assert found[0] == pytest.approx(1.95853, abs=1e-4)


def test_calibration_of_the_same_mix_is_0_and_without_history_undefined():
    history = sparse.csr_matrix(np.array([[1.0, 1.0], [0.0, 0.0]]))
    found = beyond_accuracy.calibration(np.array([[0, 1], [0, 1]]), history, np.array([0, 1]))
    assert found[0] == pytest.approx(0)
    assert np.isnan(found[1])


def test_items_without_a_category_do_not_count_in_calibration():
    history = sparse.csr_matrix(np.array([[1.0, 5.0]]))
    found = beyond_accuracy.calibration(np.array([[0, 1]]), history, np.array([0, -1]))
    assert found[0] == pytest.approx(0)


def test_diversity_by_vector_of_a_hand_worked_list():
    # Items 0 and 1 are orthogonal, 2 lies between: cosines 0, sqrt(.5), sqrt(.5); at 2 only the first pair counts.
    alike = by_vector(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]))
    found = diversity(np.array([[0, 1, 2]]), alike, (2, 3))
    assert found[2].tolist() == [1.0]
    assert found[3][0] == pytest.approx(1 - 2 * np.sqrt(0.5) / 3)


def test_an_item_without_vector_does_not_count_in_diversity():
    alike = by_vector(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
    assert diversity(np.array([[0, 2, 1]]), alike, (3,))[3].tolist() == [0.0]


def test_lists_of_one_item_have_no_diversity():
    alike = by_path(np.array([[0], [1]]))
    assert np.isnan(diversity(np.array([[0, -1], [1, -1]]), alike, (2,))[2]).all()


@given(st.integers(0, 2**32 - 1))
def test_co_occurrence_is_the_cosine_of_the_columns(seed):
    rng = np.random.default_rng(seed)
    users = (rng.random((12, 6)) < 0.4).astype(np.float32)
    left, right = np.triu_indices(6, 1)
    norms = np.sqrt((users**2).sum(axis=0))
    expected = (users.T @ users)[left, right] / np.maximum(norms[left] * norms[right], 1)
    np.testing.assert_allclose(by_co_occurrence(sparse.csr_matrix(users))(left, right), expected, atol=1e-6)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=30))
def test_percentiles_are_between_0_and_1_and_their_mean_is_one_half(counts):
    found = beyond_accuracy.percentiles(np.array(counts, dtype=float))
    assert ((found > 0) & (found < 1)).all() or len(counts) == 1
    assert found.mean() == pytest.approx(0.5)
