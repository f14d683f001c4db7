"""The last places of the lists, given to the long tail."""

import numpy as np

from tastemaker.models.histories import Histories
from tastemaker.models.pipeline.broaden import TradeOff, choose_places, trade_off
from tastemaker.models.pipeline.exposure import exposed, fit_bonus
from tastemaker.models.ranking import top_k


def _scores(seed: int, users: int = 200, items: int = 400) -> np.ndarray:
    """Tastes of 8 dimensions over items of very different popularity, which crowd out the others."""
    rng = np.random.default_rng(seed)
    tastes = rng.normal(size=(users, 8)) @ np.random.default_rng(9).normal(size=(8, items))
    scores = tastes + 8 * np.linspace(1, 0, items) ** 4
    return ((scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)).astype(np.float32)


def test_exposed_no_places_changes_nothing() -> None:
    ranked = np.array([[2, 0, 1]], dtype=np.int32)
    assert exposed(ranked, np.zeros((1, 4), np.float32), np.zeros(4, np.float32), 0) is ranked


def test_exposed_gives_the_last_places_to_the_highest_score_plus_bonus() -> None:
    ranked = np.array([[2, 0, 1]], dtype=np.int32)
    scores = np.array([[3.0, 2.0, 4.0, 0.0, 1.0]], dtype=np.float32)
    bonus = np.array([0.0, 0.0, 9.0, 3.0, 0.0], dtype=np.float32)
    # Item 2 keeps the first place and is not listed twice; then 3 (0 + 3) comes before or beside 0 (3 + 0).
    assert exposed(ranked, scores, bonus, 2).tolist() == [[2, 0, 3]]
    assert exposed(ranked, scores, bonus, 1).tolist() == [[2, 0, 3]]


def test_exposed_never_lists_what_must_not_be_listed() -> None:
    ranked = np.array([[0, 1]], dtype=np.int32)
    scores = np.array([[1.0, 0.5, -np.inf]], dtype=np.float32)
    assert exposed(ranked, scores, np.array([0.0, 0.0, 99.0], np.float32), 2).tolist() == [[0, 1]]


def test_fit_bonus_covers_more_of_the_catalogue_also_for_users_it_has_not_seen() -> None:
    reference, others = _scores(1), _scores(2)
    ranked = top_k(others.copy(), 10)
    bonus = fit_bonus(top_k(reference.copy(), 10), reference, 2)
    broadened = exposed(ranked, others, bonus, 2)
    assert len(np.unique(broadened)) > 1.3 * len(np.unique(ranked))
    assert (broadened[:, :8] == ranked[:, :8]).all()
    assert all(len(set(row)) == 10 for row in broadened.tolist())


def test_trade_off_begins_at_the_plain_lists_and_coverage_rises() -> None:
    scores = _scores(3)
    ranked = top_k(scores.copy(), 20)
    # The truth is the best item of each list: only the first place counts, so broadening costs nothing.
    users = np.arange(len(scores))
    history = Histories.of(users, (ranked[:, 0] + 1) % 400, n_users=len(users), n_items=400)
    relevant = Histories.of(users, ranked[:, 0], n_users=len(users), n_items=400)
    curve = trade_off(lambda asked, k: (top_k(scores.copy(), k), scores), history, relevant, 20, seed=0)
    assert [point.places for point in curve] == [0, 1, 2, 3, 4, 6]
    assert curve[-1].coverage > curve[0].coverage
    assert {point.ndcg for point in curve} == {1.0}
    assert choose_places(curve, 0.01) == 6


def test_choose_places_stops_where_the_loss_is_too_large() -> None:
    curve = [TradeOff(0, 0.3, 0.4), TradeOff(1, 0.5, 0.396), TradeOff(2, 0.6, 0.391), TradeOff(3, 0.7, 0.380)]
    assert choose_places(curve, 0.01) == 1
    assert choose_places(curve, 0.03) == 2
