"""Which order of the candidates is used: the simplest that the judging lists do not tell from a better one."""

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models.pipeline import stack as stacking
from tastemaker.models.pipeline.lists import Lists
from tastemaker.models.pipeline.stack import fit_stack
from tastemaker.models.protocol import FitContext


class _Ranker:
    """Scores by one column."""

    def __init__(self, column: int, sign: float = 1.0) -> None:
        self._column, self._sign = column, sign

    def score(self, features: np.ndarray) -> np.ndarray:
        return self._sign * features[:, self._column]


def _lists(n: int, columns: list[np.ndarray], labels: np.ndarray) -> Lists:
    features = np.stack(columns, axis=2).astype(np.float32)
    items = np.tile(np.arange(labels.shape[1], dtype=np.int32), (n, 1))
    return Lists(items, features, labels.astype(np.float32), labels.sum(axis=1).astype(np.int64))


@pytest.fixture
def lists() -> Lists:
    """200 lists of 8 candidates, one of them relevant: column 0 knows it in part, 1 is noise, 2 knows it well."""
    random = np.random.default_rng(3)
    labels = np.zeros((200, 8))
    labels[np.arange(200), random.integers(0, 8, 200)] = 1
    noise = random.normal(size=(3, 200, 8))
    return _lists(200, [labels + noise[0], noise[1], 3 * labels + 0.1 * noise[2]], labels)


def _fit(monkeypatch, lists: Lists, ranker: _Ranker):
    monkeypatch.setattr(stacking, "_rankers", lambda *rest: (ranker,))
    learn, judge = lists.take(np.arange(100)), lists.take(np.arange(100, 200))
    return fit_stack(learn, judge, 2, k=5, context=FitContext(seed=1), names=("a", "b", "c"))


def test_ranker_that_is_clearly_better_orders(monkeypatch, lists) -> None:
    stack = _fit(monkeypatch, lists, _Ranker(2))
    assert stack.measured["ranker"] == pytest.approx(1.0)  # 3 against noise of 0.1: the relevant one is always first
    assert len(stack.rankers) == 1
    assert np.array_equal(stack.score(lists.features), lists.features[:, :, 2])


def test_ranker_that_is_no_better_than_chance_is_left_out(monkeypatch, lists) -> None:
    stack = _fit(monkeypatch, lists, _Ranker(1))
    assert stack.rankers == ()
    assert stack.measured["ranker"] < max(stack.measured["blend"], stack.measured["source"])


def test_best_source_orders_where_the_blend_is_misled(monkeypatch, lists) -> None:
    # What the blend learns from says the opposite of what judges say: it trusts the source that is noise to them.
    turned = lists.features.copy()
    turned[:100, :, [0, 1]] = turned[:100, :, [1, 0]]
    misled = Lists(lists.items, turned, lists.labels, lists.n_relevant)
    stack = _fit(monkeypatch, misled, _Ranker(0, sign=-1.0))
    assert stack.measured["source"] > stack.measured["blend"]
    assert stack.blend.tolist() == [1.0, 0.0]


def test_blend_orders_where_there_are_no_lists_to_judge_by(monkeypatch, lists) -> None:
    monkeypatch.setattr(stacking, "_rankers", lambda *rest: (_Ranker(2),))
    stack = fit_stack(lists, lists.take(np.arange(0)), 2, k=5, context=FitContext(seed=1), names=("a", "b", "c"))
    assert stack.rankers == ()
    assert stack.blend[0] > stack.blend[1] >= 0


def test_lists_without_anything_relevant_say_what_is_missing(lists) -> None:
    empty = Lists(lists.items, lists.features, np.zeros_like(lists.labels), lists.n_relevant)
    with pytest.raises(DataError, match="give more interactions"):
        fit_stack(empty, lists, 2, k=5, context=FitContext(seed=1), names=("a", "b", "c"))
