"""Item-kNN, EASE, graph filters and iALS against dense formulas written out with numpy."""

import time

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models.conjugate_gradients import solve_rows
from tastemaker.models.ease import Ease
from tastemaker.models.graph_filter import GraphFilter
from tastemaker.models.histories import Histories
from tastemaker.models.ials import Ials
from tastemaker.models.item_knn import ItemKnn
from tastemaker.models.protocol import FitContext
from tastemaker.models.spectrum import right_vectors

CONTEXT = FitContext(seed=1)


def random_histories(users: int = 60, items: int = 20, rows: int = 500, *, times: bool = False) -> Histories:
    rng = np.random.default_rng(5)
    codes = (items * rng.random(rows) ** 2).astype(int)  # some items are popular
    return Histories.of(
        rng.integers(0, users, rows), codes, n_users=users, n_items=items, times=rng.random(rows) if times else None
    )


def test_item_knn_similarities_worked_out_by_hand() -> None:
    # Item 0: users a, b, c. Item 1: a, b. Item 2: c. Cosine 0-1: 2 / sqrt(3 * 2); 0-2: 1 / sqrt(3 * 1); 1-2: none.
    train = Histories.of([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 2], n_users=3, n_items=3)
    model = ItemKnn(damping=0.0, half_life=None, shrinkage=0.0, exponent=0.5).fit(train, CONTEXT)
    asked = Histories.of([0, 1, 1], [0, 1, 2], n_users=2, n_items=3)
    cosine, other = 2 / np.sqrt(6), 1 / np.sqrt(3)
    np.testing.assert_allclose(model.score(asked), [[0, cosine, other], [cosine + other, 0, 0]], atol=1e-5)


@pytest.mark.parametrize(("damping", "exponent", "shrinkage"), [(0.0, 0.5, 0.0), (0.5, 0.7, 3.0), (1.0, 0.2, 0.5)])
def test_item_knn_equals_the_dense_formula(damping: float, exponent: float, shrinkage: float) -> None:
    train = random_histories()
    taken = train.matrix(binary=True).toarray().astype(float)
    weighted = taken * (np.maximum(taken.sum(axis=1), 1) ** -damping)[:, None]
    degree = weighted.sum(axis=0)
    similar = (weighted.T @ taken) / (np.outer(degree**exponent, degree ** (1 - exponent)) + shrinkage)
    np.fill_diagonal(similar, 0)
    model = ItemKnn(neighbours=100, damping=damping, exponent=exponent, shrinkage=shrinkage, half_life=None)
    np.testing.assert_allclose(model.fit(train, CONTEXT).score(train), taken @ similar, rtol=1e-4, atol=1e-4)


def test_item_knn_keeps_the_nearest_only() -> None:
    train = random_histories()
    every = ItemKnn(neighbours=100).fit(train, CONTEXT)
    few = ItemKnn(neighbours=3).fit(train, CONTEXT)
    assert (np.diff(few._similar.indptr) <= 3).all()
    for item in range(train.n_items):
        np.testing.assert_allclose(np.sort(few._similar[item].data), np.sort(every._similar[item].data)[-3:], rtol=1e-6)


def test_ease_equals_the_closed_form_of_the_paper() -> None:
    train = random_histories()
    x = train.matrix(binary=True).toarray().astype(float)
    # Steck (2019), Algorithm 1: P = inv(G + lambda I); B = P / -diag(P); diag(B) = 0.
    inverse = np.linalg.inv(x.T @ x + 7.0 * np.eye(train.n_items))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    model = Ease(regularisation=7.0, damping=0.0, half_life=None).fit(train, CONTEXT)
    np.testing.assert_allclose(model.score(train), x @ weights, atol=1e-4)


def test_ease_beyond_max_items_regresses_on_the_popular_ones() -> None:
    train = random_histories()
    x = train.matrix(binary=True).toarray().astype(float)
    core = np.sort(np.argsort(-x.sum(axis=0), kind="stable")[:12])
    rest = np.setdiff1d(np.arange(20), core)
    inverse = np.linalg.inv(x[:, core].T @ x[:, core] + 7.0 * np.eye(12))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    scores = Ease(regularisation=7.0, damping=0.0, half_life=None, max_items=12).fit(train, CONTEXT).score(train)
    np.testing.assert_allclose(scores[:, core], x[:, core] @ weights, atol=1e-4)
    ridge = inverse @ x[:, core].T @ x[:, rest]
    np.testing.assert_allclose(scores[:, rest], x[:, core] @ ridge, atol=1e-4)


def test_ease_chooses_a_smaller_inverse_for_a_close_deadline() -> None:
    rng = np.random.default_rng(0)
    train = Histories.of(rng.integers(0, 2000, 9000), rng.permutation(9000) % 3000, n_users=2000, n_items=3000)
    told: list[str] = []
    model = Ease().fit(train, FitContext(seed=1, deadline=time.monotonic() - 5, progress=told.append))
    assert len(model._core) < 3000
    assert "most popular of 3,000 items" in told[0]
    assert np.isfinite(model.score(train.take(np.arange(5)))).all()


def test_graph_filter_equals_the_formula_of_the_paper() -> None:
    train = random_histories()
    r = train.matrix(binary=True).toarray().astype(float)
    users, items = np.maximum(r.sum(axis=1), 1), np.maximum(r.sum(axis=0), 1)
    normal = r / np.sqrt(users)[:, None] / np.sqrt(items)
    # Shen et al. (2021), section 4.3: linear filter plus alpha times the ideal low pass, D^-1/2 V V' D^1/2.
    v = np.linalg.svd(normal)[2][:6].T
    expected = r @ (normal.T @ normal) + 0.3 * (r / np.sqrt(items)) @ v @ v.T * np.sqrt(items)
    model = GraphFilter(components=6, low_pass=0.3, sharpening=0.0, half_life=None).fit(train, CONTEXT)
    np.testing.assert_allclose(model.score(train), expected, rtol=1e-3, atol=1e-3)


def test_graph_filter_sharpening_equals_the_matrix_exponential() -> None:
    train = random_histories()
    plain = GraphFilter(components=19, low_pass=0.3, sharpening=0.0, half_life=None).fit(train, CONTEXT)
    sharp = GraphFilter(components=19, low_pass=0.3, sharpening=0.7, half_life=None).fit(train, CONTEXT)
    r = train.matrix(binary=True).toarray().astype(float)
    normal = r / np.sqrt(np.maximum(r.sum(axis=1), 1))[:, None] / np.sqrt(np.maximum(r.sum(axis=0), 1))
    values, vectors = np.linalg.eigh(normal.T @ normal)
    values[0] = 0.0  # of 20 components, 19 are kept
    expected = plain.score(train) @ (vectors * np.exp(-0.7 * values)) @ vectors.T
    np.testing.assert_allclose(sharp.score(train), expected, rtol=1e-2, atol=1e-2)


def test_right_vectors_equal_those_of_a_full_decomposition() -> None:
    matrix = random_histories(rows=300).matrix(binary=True)
    vectors, values = right_vectors(matrix, 5, seed=3, passes=8)
    _, expected, v = np.linalg.svd(matrix.toarray())
    np.testing.assert_allclose(values, expected[:5], rtol=1e-3)
    np.testing.assert_allclose(np.abs(vectors.T @ v[:5].T), np.eye(5), atol=1e-2)


def test_solve_rows_reaches_the_exact_solution() -> None:
    rng = np.random.default_rng(2)
    matrix = random_histories(rows=200).matrix()
    vectors = rng.standard_normal((20, 6)).astype(np.float32)
    ridge = rng.random(60).astype(np.float32) + 0.5
    gram = (0.3 * vectors.T @ vectors).astype(np.float32)
    solutions = np.zeros((60, 6), np.float32)
    solve_rows(matrix, vectors, solutions, gram=gram, ridge=ridge, steps=30)
    for row, weights in enumerate(matrix.toarray()):
        left = gram + (vectors * weights[:, None]).T @ vectors + ridge[row] * np.eye(6)
        np.testing.assert_allclose(solutions[row], np.linalg.solve(left, vectors.T @ weights), atol=2e-3)


def test_ials_more_epochs_lower_the_loss() -> None:
    train = random_histories()
    x = train.matrix(binary=True).toarray()
    losses = []
    for epochs in (1, 10):
        model = Ials(dim=8, regularisation=0.01, unobserved=0.2, epochs=epochs, half_life=None).fit(train, CONTEXT)
        scores = model.score(train)
        losses.append(((x * (1 - scores)) ** 2).sum() + 0.2 * (scores**2).sum())
    assert losses[1] < losses[0]


def test_ials_deadline_passed_stops_after_one_epoch() -> None:
    told: list[str] = []
    Ials(dim=4, epochs=50).fit(
        random_histories(), FitContext(seed=1, deadline=time.monotonic() - 1, progress=told.append)
    )
    assert told == ["ials: stopped after 1 of 50 epochs"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ItemKnn(neighbours=0),
        lambda: ItemKnn(half_life=0.0),
        lambda: Ease(regularisation=0.0),
        lambda: Ease(max_items=0),
        lambda: GraphFilter(components=0),
        lambda: GraphFilter(low_pass=-0.1),
        lambda: Ials(dim=0),
        lambda: Ials(unobserved=0.0),
        lambda: Ials(half_life=-1.0),
    ],
)
def test_hyperparameters_out_of_range_are_refused(wrong: object) -> None:
    with pytest.raises(DataError):
        wrong()  # type: ignore[operator]
