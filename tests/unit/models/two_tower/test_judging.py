"""The small validation part that early stopping looks at."""

import numpy as np
import numpy.typing as npt

from tastemaker.evaluation.metrics import per_user
from tastemaker.models.histories import Histories
from tastemaker.models.two_tower.judging import Validation, hold_out, ndcg_at, sample


class _Fixed:
    """Scores by a table."""

    def __init__(self, scores: npt.NDArray[np.float32]) -> None:
        self._scores = scores

    def score(self, histories: Histories) -> npt.NDArray[np.float32]:
        return self._scores[: histories.n_users].copy()


def _train(*, times: bool) -> Histories:
    return Histories.of(
        np.repeat(np.arange(1_000), 5), np.tile(np.arange(5), 1_000), n_users=1_000, n_items=5,
        times=np.tile(np.arange(5), 1_000) if times else None,
    )  # fmt: skip


def test_hold_out_takes_the_last_event_of_a_twentieth_of_the_users() -> None:
    kept, validation = hold_out(_train(times=True), np.random.default_rng(0))
    assert validation is not None
    assert validation.history.n_users == 50
    assert len(kept.items) == 5_000 - 50
    assert set(validation.relevant.items.tolist()) == {4}
    assert validation.history.lengths.tolist() == [4] * 50
    assert validation.exclude_seen


def test_hold_out_without_an_order_takes_a_fifth_of_a_twentieth_of_the_users() -> None:
    kept, validation = hold_out(_train(times=False), np.random.default_rng(0))
    assert validation is not None
    hidden = 5_000 - len(kept.items)
    # 50 users x 5 items x 0.2 = 50 expected, standard deviation sqrt(250 * 0.2 * 0.8) = 6.3.
    assert 25 <= hidden <= 75
    assert len(validation.relevant.items) == hidden


def test_hold_out_of_few_users_takes_nothing() -> None:
    few = _train(times=True).take(np.arange(30))
    kept, validation = hold_out(few, np.random.default_rng(0))
    assert validation is None
    assert len(kept.items) == len(few.items)


def test_sample_keeps_users_with_something_relevant_and_notices_repeats() -> None:
    history = Histories.of([0, 1, 2], [0, 1, 2], n_users=3, n_items=4)
    validation = sample(history, Histories.of([0, 2], [0, 3], n_users=3, n_items=4), np.random.default_rng(0))
    assert validation is not None
    assert validation.history.items.tolist() == [0, 2]
    assert not validation.exclude_seen  # the first user takes item 0 again
    nothing = Histories.of([], [], n_users=3, n_items=4)
    assert sample(history, nothing, np.random.default_rng(0)) is None


def test_ndcg_is_that_of_the_evaluation() -> None:
    generator = np.random.default_rng(2)
    scores = generator.random((40, 60)).astype(np.float32)
    history = Histories.of(np.arange(40), generator.integers(0, 60, 40), n_users=40, n_items=60)
    relevant = Histories.of(
        np.repeat(np.arange(40), 3), np.concatenate([generator.choice(60, 3, replace=False) for _ in range(40)]),
        n_users=40, n_items=60,
    )  # fmt: skip
    found = ndcg_at(_Fixed(scores), Validation(history, relevant, exclude_seen=False), 20)
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    assert abs(found - per_user(ranked, relevant.items.reshape(40, 3).astype(np.int64))["ndcg"].mean()) < 1e-9


def test_hold_out_beside_an_earlier_model_takes_users_who_came_since() -> None:
    # 1,000 users at moments 0 to 4; of these, 100 come once more, after the earlier model was trained.
    late = Histories.of(
        np.append(np.repeat(np.arange(1_000), 5), np.arange(100)),
        np.append(np.tile(np.arange(5), 1_000), np.zeros(100, np.int64)),
        n_users=1_000, n_items=5, times=np.append(np.tile(np.arange(5), 1_000), np.full(100, 9)),
    )  # fmt: skip
    kept, validation = hold_out(late, np.random.default_rng(0), since=4.0)
    assert validation is not None
    assert validation.history.n_users == 25  # a quarter of them
    assert set(validation.relevant.items.tolist()) == {0}
    assert len(kept.items) == 5_100 - 25
    assert hold_out(late, np.random.default_rng(0), since=9.0)[1] is None
