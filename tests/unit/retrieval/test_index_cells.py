"""The approximate index against the exact one, on vectors in clusters as trained ones are."""

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.retrieval.allowed import Allowed
from tastemaker.retrieval.index import cells as cells_module
from tastemaker.retrieval.index.build import BuildParameters, build
from tastemaker.retrieval.index.cells import Effort
from tastemaker.retrieval.index.exact import ExactIndex
from tastemaker.retrieval.index.merge import merged
from tastemaker.retrieval.index.tuning import exact_answers, recall_of, sample_queries, tuned

N, WIDTH = 6_000, 16
ALL = np.arange(N)
HOW = BuildParameters(cells=48, iterations=4, tuning_queries=60, recall=0.97)


def labels(seed, n=N):
    return np.random.default_rng(seed).integers(0, 40, n)


def clustered(n, seed):
    centres = np.random.default_rng(0).normal(size=(40, WIDTH))
    noise = np.random.default_rng([seed, 1]).normal(size=(n, WIDTH))
    found = (centres[labels(seed, n)] + 0.5 * noise).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def vectors():
    return clustered(N, 1)


@pytest.fixture(scope="module")
def queries(vectors):
    return sample_queries(vectors, ALL, 40, seed=9)


@pytest.fixture(scope="module")
def index(vectors):
    return tuned(build(vectors, ALL, HOW), vectors, ALL, HOW)


def recall(index, vectors, queries, rows=ALL, **how):
    truth = exact_answers(vectors, rows, queries)
    return recall_of(lambda query: index.search(query, 100, **how).rows, queries, truth)


def test_a_tuned_index_has_the_recall_that_its_card_says_on_other_queries_too(index, vectors, queries):
    assert index.card.recall >= 0.97
    assert recall(index, vectors, queries) > 0.95
    assert index.card.effort.probes < index.card.cells  # it does not look everywhere
    assert index.card.items == len(vectors)


def test_scores_are_inner_products_best_first(index, vectors, queries):
    found = index.search(queries[0], 50)
    np.testing.assert_allclose(found.scores, vectors[found.rows] @ queries[0], atol=1e-4)
    assert (np.diff(found.scores) <= 0).all()
    assert len(np.unique(found.rows)) == 50


@pytest.mark.parametrize("share", [0.7, 0.2, 0.04])
def test_a_filter_keeps_the_recall_and_gives_nothing_else(index, vectors, queries, share, monkeypatch):
    monkeypatch.setattr(cells_module, "_FEW", 0)  # also where an index of this size would score all
    monkeypatch.setattr(cells_module, "PRICE", 1e9)
    allowed = Allowed(np.random.default_rng(3).random(N) < share)
    assert recall(index, vectors, queries, allowed.rows, allowed=allowed) > 0.95
    for query in queries[:5]:
        assert allowed.of(index.search(query, 100, allowed=allowed).rows).all()


def test_a_filter_whose_rows_are_all_far_from_the_query_keeps_the_recall(index, vectors, queries, monkeypatch):
    monkeypatch.setattr(cells_module, "_FEW", 0)
    monkeypatch.setattr(cells_module, "PRICE", 1e9)
    query = queries[0]
    category = labels(1)
    towards = np.bincount(category, weights=vectors @ query) / np.bincount(category)
    farthest = np.argsort(towards)[:6]
    far = Allowed(np.isin(category, farthest))  # hardly a cell that is near the query has any of them
    assert recall(index, vectors, query[None], far.rows, allowed=far) > 0.9


def test_few_allowed_rows_are_all_scored(index, vectors, queries):
    allowed = Allowed.only(np.random.default_rng(4).choice(N, 300, replace=False), N)
    assert recall(index, vectors, queries, allowed.rows, allowed=allowed) == 1.0


def test_a_filter_that_allows_nothing_finds_nothing(index, queries):
    nothing = Allowed(np.zeros(N, dtype=np.bool_))
    assert not len(index.search(queries[0], 10, allowed=nothing).rows)


def test_rows_that_are_not_alive_are_not_found_filtered_or_not(index, queries):
    best = index.search(queries[0], 20).rows
    alive = Allowed(~np.isin(ALL, best))
    assert not np.isin(index.search(queries[0], 200, alive=alive).rows, best).any()
    few = Allowed.only(best, N)
    assert not len(index.search(queries[0], 200, alive=alive, allowed=few).rows)


def test_longer_lists_look_farther(index):
    tuned_for = index.card.effort
    assert index.effort_for(10) == tuned_for
    assert index.effort_for(400) == Effort(min(48, 2 * tuned_for.probes), 4 * tuned_for.scored)


def test_rows_that_are_left_out_of_the_build_are_not_found(vectors, queries):
    even = ALL[::2]
    index = build(vectors, even, HOW)
    found = index.search(queries[0], 100, effort=Effort(48, 1_000))
    assert (found.rows % 2 == 0).all()
    assert index.card.items == len(even)


def test_merging_forgets_and_adds_and_leaves_the_index_as_it_was(index, vectors, queries):
    before = index.search(queries[0], 100).rows
    new = np.concatenate([vectors, clustered(500, 2)])
    new[before[0]] = -queries[0]  # moves to the other end
    added = np.concatenate([before[:1], np.arange(N, N + 500)])
    after = merged(index, new, before[:1], added)
    assert after.card.items == N + 500
    assert recall(after, new, queries, np.arange(N + 500)) > 0.94
    assert before[0] not in after.search(queries[0], 100).rows
    assert after.search(-queries[0], 1).rows.tolist() == [before[0]]
    assert index.search(queries[0], 100).rows.tolist() == before.tolist()
    assert (after.rows, index.rows) == (N + 500, N)


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        (np.ones((200, 4), dtype=np.float32), "256 vectors at least"),
        (np.full((300, 4), np.nan, dtype=np.float32), "not finite"),
    ],
)
def test_vectors_that_no_index_can_be_built_of_are_refused(vectors, says):
    with pytest.raises(DataError, match=says):
        build(vectors, np.arange(len(vectors)), BuildParameters(cells=4))


def test_vectors_of_an_odd_dimension_make_an_index_too():
    odd = np.random.default_rng(6).normal(size=(400, 5)).astype(np.float32)
    index = build(odd, np.arange(400), BuildParameters(cells=4))
    expected = np.argsort(-(odd @ odd[0]))[:5]
    assert index.search(odd[0], 5, effort=Effort(4, 200)).rows.tolist() == expected.tolist()


def test_equal_vectors_make_an_index_all_the_same():
    same = np.tile(np.array([[0.6, 0.8, 0.0, 0.0]], dtype=np.float32), (400, 1))
    index = build(same, np.arange(400), BuildParameters(cells=4))
    found = index.search(same[0], 5, effort=Effort(4, 100))
    assert len(found.rows) == 5
    np.testing.assert_allclose(found.scores, 1.0, atol=1e-4)


def test_the_exact_index_is_numpy_with_and_without_a_filter(vectors, queries):
    rows = ALL[::3]
    index = ExactIndex(rows, vectors[rows])
    order = np.argsort(-(vectors[rows] @ queries[0]), kind="stable")
    found = index.search(queries[0], 7)
    assert found.rows.tolist() == rows[order][:7].tolist()
    some = Allowed(ALL % 2 == 0)
    expected = [row for row in rows[order].tolist() if row % 2 == 0][:7]
    assert index.search(queries[0], 7, allowed=some).rows.tolist() == expected
    assert len(index.search(queries[0], 10_000).rows) == len(rows)
    assert not len(index.search(queries[0], 0).rows)
    assert not len(ExactIndex(rows[:0], vectors[:0]).search(queries[0], 7).rows)
