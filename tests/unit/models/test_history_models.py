"""User-kNN, session-kNN and co-visitation against slow loops that say what they mean."""

import math

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models.co_visitation import CoVisitation
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext
from tastemaker.models.session_knn import SessionKnn
from tastemaker.models.transitions import transitions
from tastemaker.models.user_knn import UserKnn

CONTEXT = FitContext(seed=1)


def sequences(users: int = 40, items: int = 15, rows: int = 240) -> Histories:
    rng = np.random.default_rng(9)
    return Histories.of(
        rng.integers(0, users, rows),
        (items * rng.random(rows) ** 1.5).astype(int),
        n_users=users,
        n_items=items,
        times=rng.permutation(rows),
    )


def of(histories: Histories, user: int) -> list[int]:
    return histories.items[histories.offsets[user] : histories.offsets[user + 1]].tolist()


def test_user_knn_equals_the_cosine_of_all_users() -> None:
    train = sequences()
    taken = train.matrix(binary=True).toarray().astype(float)
    rare = np.maximum(taken.sum(axis=0), 1) ** -0.5
    lengths = np.maximum(taken.sum(axis=1), 1)
    expected = (taken * rare) @ taken.T / np.sqrt(lengths) @ taken
    model = UserKnn(neighbours=1000, rarity=0.5, normalise=0.5, half_life=None).fit(train, CONTEXT)
    np.testing.assert_allclose(model.score(train), expected, rtol=1e-4, atol=1e-5)


def test_user_knn_only_the_nearest_vote() -> None:
    # Asked for item 0. Users 0 and 1 took it: user 0 with one other item, user 1 with three others.
    train = Histories.of([0, 0, 1, 1, 1, 1], [0, 1, 0, 2, 3, 4], n_users=2, n_items=5)
    asked = Histories.of([0], [0], n_users=1, n_items=5)
    scores = UserKnn(neighbours=1, rarity=0.0, normalise=0.5).fit(train, CONTEXT).score(asked)[0]
    np.testing.assert_allclose(scores, [2**-0.5, 2**-0.5, 0, 0, 0], atol=1e-6)


def stan(train: Histories, asked: list[int], rarity: float, half_life: float, spread: float) -> np.ndarray:
    """Garg et al. (2019), equations 2 to 6, with powers of two for their exponentials."""
    popularity = train.popularity()
    scores = np.zeros(train.n_items)
    newest = {item: place for place, item in enumerate(asked)}
    for user in range(train.n_users):
        session = {item: place for place, item in enumerate(of(train, user))}
        common = [item for item in newest if item in session]
        if not common:
            continue
        similarity = sum(
            2 ** (-(len(asked) - 1 - newest[i]) / half_life) * max(popularity[i], 1) ** -rarity for i in common
        ) / math.sqrt(len(session))
        anchor = session[max(common, key=lambda i: newest[i])]
        for item, place in session.items():
            scores[item] += similarity * 2 ** (-abs(place - anchor) / spread)
    return scores


def test_session_knn_equals_the_formulas_of_stan() -> None:
    train = sequences()
    model = SessionKnn(neighbours=1000, half_life=1.5, spread=2.0, rarity=0.3, normalise=0.5, age=None)
    found = model.fit(train, CONTEXT).score(train)
    for user in range(train.n_users):
        expected = stan(train, of(train, user), rarity=0.3, half_life=1.5, spread=2.0)
        np.testing.assert_allclose(found[user], expected, rtol=1e-4, atol=1e-5)


def test_session_knn_old_sessions_fade() -> None:
    # Two sessions hold item 0: the old one goes on to 1, the new one to 2. Ends span 0..10, half-life 0.1: 10 halvings.
    train = Histories.of([0, 0, 1, 1], [0, 1, 0, 2], n_users=2, n_items=3, times=[0, 0, 10, 10])
    asked = Histories.of([0], [0], n_users=1, n_items=3, times=[11])
    scores = SessionKnn(age=0.1, spread=None).fit(train, CONTEXT).score(asked)[0]
    assert scores[1] == pytest.approx(scores[2] * 2**-10, rel=1e-3)


def test_session_knn_sample_looks_at_the_latest_sessions() -> None:
    train = Histories.of([0, 0, 1, 1], [0, 1, 0, 2], n_users=2, n_items=3, times=[5, 6, 1, 2])
    asked = Histories.of([0], [0], n_users=1, n_items=3, times=[9])
    scores = SessionKnn(sample=1).fit(train, CONTEXT).score(asked)[0]
    assert scores[1] > 0.1
    assert scores[2] < 1e-6  # the older session was not looked at


def test_transitions_equal_a_plain_count() -> None:
    train = sequences()
    sums = np.zeros((train.n_items, train.n_items))
    for user in range(train.n_users):
        row = of(train, user)
        for p, item in enumerate(row):
            for step in range(1, 4):
                if p + step < len(row):
                    sums[item, row[p + step]] += 0.6 ** (step - 1)
                if p - step >= 0:
                    sums[item, row[p - step]] += 0.25 * 0.6 ** (step - 1)
    totals = np.bincount(train.items, minlength=train.n_items) + 2.0
    expected = sums / np.outer(totals**0.7, totals**0.3)
    found = transitions(train, window=3, fade=0.6, backward=0.25, exponent=0.3, smoothing=2.0, k=100)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-4, atol=1e-6)


def test_co_visitation_direction_counts() -> None:
    train = Histories.of([0, 0, 1, 1], [0, 1, 0, 1], n_users=2, n_items=3, times=[0, 1, 0, 1])
    asked = Histories.of([0, 1], [0, 1], n_users=2, n_items=3, times=[5, 5])
    scores = CoVisitation(backward=0.0, exponent=0.0, smoothing=0.0).fit(train, CONTEXT).score(asked)
    np.testing.assert_allclose(scores[0], [0, 1, 0], atol=1e-6)  # 0 led to 1 both times that it occurred
    assert scores[1].max() < 1e-6  # and nothing followed 1


def test_co_visitation_items_of_one_basket_lead_to_each_other() -> None:
    # Basket 0, 1 and a moment later 2: from 2 back to either half as much as on from them.
    train = Histories.of([0, 0, 0], [0, 1, 2], n_users=1, n_items=3, times=[4, 4, 7])
    found = transitions(train, window=5, fade=0.5, backward=0.5, exponent=0.0, smoothing=0.0, k=3)
    np.testing.assert_allclose(found.toarray(), [[0, 1, 1], [1, 0, 1], [0.5, 0.5, 0]])


def test_co_visitation_without_times_asks_for_them() -> None:
    with pytest.raises(DataError, match="timestamp"):
        CoVisitation().fit(Histories.of([0, 0], [0, 1], n_users=1, n_items=2), CONTEXT)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: UserKnn(neighbours=0),
        lambda: UserKnn(half_life=0.0),
        lambda: SessionKnn(sample=0),
        lambda: SessionKnn(age=0.0),
        lambda: CoVisitation(window=0),
        lambda: CoVisitation(fade=1.5),
        lambda: CoVisitation(backward=-1.0),
        lambda: CoVisitation(half_life=0.0),
    ],
)
def test_hyperparameters_out_of_range_are_refused(wrong: object) -> None:
    with pytest.raises(DataError):
        wrong()  # type: ignore[operator]
