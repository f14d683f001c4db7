import itertools
import time
from types import SimpleNamespace

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.models.ranker import fitting
from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.parameters import ObjectiveWeights, RankerParameters
from tastemaker.models.ranker.quality import list_ndcg
from tastemaker.models.ranker.train import train_ranker

RANKER = RankerParameters(hidden=(16,), epochs=15, batch_lists=32, learning_rate=1e-2)
QUICK = RANKER.model_copy(update={"epochs": 2})
NAMES = ("a", "user_vector_0", "item_vector_0")


def lists(n=160, candidates=12, seed=2, **changes):
    """Candidates of which the one with the largest first feature is bought; the third feature is missing at times."""
    random = np.random.default_rng(seed)
    features = random.random((n, candidates, 3), dtype=np.float32) * 10
    features[:, -2:] = 0.0
    labels = (features[:, :, 0] == features[:, :, 0].max(axis=1, keepdims=True)).astype(np.float32)
    features[::3, :, 2] = np.nan
    labels[:, -2:] = -1.0  # padding
    return RankingLists(**{"features": features, "labels": labels[:, :, None], "names": NAMES, **changes})


def ndcg(ranker, some):
    scores = ranker.score(some.features.reshape(-1, len(some.names))).reshape(some.features.shape[:2])
    return np.nanmean(list_ndcg(scores, some.labels[:, :, 0]))


@pytest.mark.parametrize(
    ("head", "loss"), [("dcn", "listwise"), ("dcn", "sampled"), ("wide-deep", "listwise"), ("ncf", "sampled")]
)
def test_every_head_and_loss_finds_the_feature_that_decides(head, loss):
    parameters = RANKER.model_copy(update={"head": head, "loss": loss, "negatives": 5})
    ranker = train_ranker(lists(), parameters, seed=1)
    # An order of chance has about .45: the mean of 1 / log2(1 + place) over ten places.
    assert ndcg(ranker, lists(seed=3)) > 0.85


def test_feature_that_never_varied_or_was_never_missing_says_nothing_later():
    some = lists()
    some.features[:, :, 1] = 0.0
    ranker = train_ranker(some, QUICK, seed=1)
    for later in (1_000.0, np.nan):
        changed = some.features[0].copy()
        changed[:, 1] = later
        np.testing.assert_allclose(ranker.score(changed), ranker.score(some.features[0]), atol=1e-6)


def test_same_seed_gives_the_same_scores_whatever_stands_in_padding():
    some, other = lists(), lists()
    other.features[:, -2:] = np.nan
    one, two = (train_ranker(of, QUICK, seed=1).score(some.features[0]) for of in (some, other))
    np.testing.assert_array_equal(one, two)


def test_one_list_with_a_hit_is_learned_from_and_the_others_are_left_out():
    some = lists(n=10)
    some.labels[1:] = np.minimum(some.labels[1:], 0)
    ranker = train_ranker(some, QUICK, validation=some, seed=1)
    assert ranker.report.lists == 1
    assert np.isfinite(ranker.score(some.features[0])).all()


def test_no_list_with_a_hit_is_an_error_with_a_remedy():
    with pytest.raises(DataError, match="widen label_days"):
        train_ranker(lists(n=10, labels=np.zeros_like(lists(n=10).labels)), QUICK, seed=1)


def test_the_best_epoch_by_validation_is_kept():
    # The training lists teach the reverse of the validation lists: each epoch makes it worse.
    upside_down = lists(seed=3)
    smallest = upside_down.features[:, :10, 0].argmin(axis=1)
    labels = np.zeros_like(upside_down.labels)
    labels[:, -2:] = -1
    labels[np.arange(len(labels)), smallest] = 1
    judges = lists(seed=3, labels=labels)
    ranker = train_ranker(lists(), RANKER, validation=judges, seed=1, wide_start=np.array([-1, 0, 0], np.float32))
    assert ranker.report.best_epoch == 0
    assert ranker.report.stopped == "patience"
    assert ranker.report.epochs == RANKER.patience
    assert ndcg(ranker, judges) == pytest.approx(ranker.report.validation_ndcg[0])
    assert ranker.report.validation_ndcg[-1] < ranker.report.validation_ndcg[0]


def test_after_the_deadline_no_step_is_taken_and_the_linear_score_that_was_given_stands():
    some, blend, told = lists(), np.array([0.5, -0.2, 0.0], np.float32), []
    late = train_ranker(
        some,
        RANKER,
        validation=some,
        seed=1,
        deadline=time.monotonic(),
        wide_start=blend,
        progress=told.append,
    )
    assert (late.report.epochs, late.report.stopped, len(told)) == (0, "deadline", 1)
    assert np.isnan(late.report.loss)
    rows = some.features[1]
    assert np.argsort(late.score(rows)).tolist() == np.argsort(np.nan_to_num(rows) @ blend).tolist()


def test_time_that_runs_out_within_an_epoch_leaves_the_best_weights_until_then(monkeypatch):
    ticks = itertools.count(1)
    monkeypatch.setattr(fitting, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    judged = lists(seed=3)
    ranker = train_ranker(lists(), RANKER, validation=judged, seed=1, deadline=15)
    # Judging before training takes the ticks 1 to 3, so that one tick is kept back for it; the five steps of the first
    # epoch 4 to 8, judging 9 to 11; then two steps, and at 14 what is left is kept back.
    assert (ranker.report.epochs, ranker.report.stopped) == (2, "deadline")
    assert len(ranker.report.validation_ndcg) == 2
    assert ndcg(ranker, judged) == pytest.approx(max(ranker.report.validation_ndcg))


def test_training_gets_better_than_the_linear_score_that_it_started_from():
    judged = lists(seed=3)
    learned = train_ranker(lists(), RANKER, validation=judged, seed=1, wide_start=np.array([0.5, -0.2, 0], np.float32))
    assert learned.report.validation_ndcg[0] < max(learned.report.validation_ndcg)
    assert ndcg(learned, judged) == pytest.approx(max(learned.report.validation_ndcg))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"parameters": RankerParameters(outcomes=("click", "purchase"))}, "1 outcomes"),
        ({"wide_start": np.ones(2, np.float32)}, "one weight per feature"),
        ({"validation": lists(n=4, names=("x", "y", "z"))}, "other features"),
        ({"parameters": RankerParameters(objective=ObjectiveWeights(margin=1.0))}, "no feature 'margin'"),
        ({"parameters": RankerParameters(head="ncf", vectors=("u_", "i_"))}, "'u_' and 'i_'"),
    ],
)
def test_arguments_that_do_not_fit_the_lists_are_refused(arguments, says):
    with pytest.raises(DataError, match=says):
        train_ranker(**{"lists": lists(n=4), "parameters": QUICK, "seed": 1, **arguments})
