import time

import numpy as np
import pytest

from tastemaker.errors import DataError
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


def test_training_repeats_itself_by_seed():
    some = lists()
    one, same, other = (train_ranker(some, QUICK, seed=seed).score(some.features[0]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_feature_that_never_varied_or_was_never_missing_says_nothing_later():
    some = lists()
    some.features[:, :, 1] = 0.0
    ranker = train_ranker(some, QUICK, seed=1)
    for later in (1_000.0, np.nan):
        changed = some.features[0].copy()
        changed[:, 1] = later
        np.testing.assert_allclose(ranker.score(changed), ranker.score(some.features[0]), atol=1e-6)


def test_what_stands_in_padding_changes_nothing():
    some, other = lists(), lists()
    other.features[:, -2:] = np.nan
    one, two = (train_ranker(of, QUICK, seed=1).score(some.features[0]) for of in (some, other))
    np.testing.assert_array_equal(one, two)


def test_one_list_alone_can_be_learned_from():
    ranker = train_ranker(lists(n=1), QUICK, validation=lists(n=1), seed=1)
    assert ranker.report.lists == 1
    assert np.isfinite(ranker.score(lists(n=1).features[0])).all()


def test_lists_without_a_hit_are_left_out_and_none_with_one_is_an_error_with_a_remedy():
    some = lists(n=10)
    some.labels[:4] = np.minimum(some.labels[:4], 0)
    assert train_ranker(some, QUICK, seed=1).report.lists == 6
    with pytest.raises(DataError, match="widen label_days"):
        train_ranker(lists(n=10, labels=np.zeros_like(some.labels)), QUICK, seed=1)


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


def test_training_starts_from_the_order_of_the_linear_score_it_is_given():
    some, blend = lists(), np.array([0.5, -0.2, 0.0], np.float32)
    started = train_ranker(some, RANKER, validation=some, seed=1, deadline=time.monotonic(), wide_start=blend)
    rows = some.features[1]
    assert np.argsort(started.score(rows)).tolist() == np.argsort(np.nan_to_num(rows) @ blend).tolist()
    judged = lists(seed=3)
    learned = train_ranker(some, RANKER, validation=judged, seed=1, wide_start=blend)
    assert learned.report.validation_ndcg[0] < max(learned.report.validation_ndcg)
    assert ndcg(learned, judged) == pytest.approx(max(learned.report.validation_ndcg))


def test_no_step_is_taken_after_the_deadline():
    told = []
    late = train_ranker(
        lists(), RANKER, validation=lists(seed=3), seed=1, deadline=time.monotonic(), progress=told.append
    )
    assert (late.report.epochs, late.report.stopped) == (0, "deadline")
    assert np.isnan(late.report.loss)
    assert len(told) == 1
    assert np.isfinite(late.score(lists().features[0])).all()


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
