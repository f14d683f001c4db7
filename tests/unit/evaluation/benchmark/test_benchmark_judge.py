import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.evaluation.benchmark.judge import WHOLE, judge
from tastemaker.evaluation.benchmark.lists import Lists, make_lists
from tastemaker.evaluation.benchmark.slices import slices
from tastemaker.evaluation.benchmark.task import Task
from tastemaker.evaluation.intervals import bootstrap_known_means, bootstrap_means, interval_of
from tastemaker.models.histories import Histories
from tastemaker.models.popularity import Popularity
from tastemaker.models.protocol import FitContext


def histories(rows, n_items=6):
    users = [user for user, items in enumerate(rows) for _ in items]
    return Histories.of(users, [item for items in rows for item in items], n_users=len(rows), n_items=n_items)


def task(history, relevant, *, exclude_seen=False):
    train = histories([[0, 1, 2], [0, 1], [0], [3, 4, 5]])
    return Task(train, histories(history), histories(relevant), None, exclude_seen, "random", None)


def test_means_over_users_coverage_and_paired_differences():
    given = task([[0], [1], []], [[1], [2], [3]])
    good = Lists(*[np.array([[1, 0], [2, 0], [0, 3]], np.int32)] * 2)
    bad = Lists(*[np.array([[0, 4], [0, 4], [0, 4]], np.int32)] * 2)
    models, differences, _ = judge(given, {"good": good, "bad": bad}, (1, 2), seed=0)
    # Hits at ranks 1, 1 and 2 of one relevant item each.
    assert models["good"].metrics["recall@1"].value == pytest.approx(2 / 3)
    assert models["good"].metrics["recall@2"].value == 1
    assert models["good"].metrics["ndcg@2"].value == pytest.approx((1 + 1 + 1 / np.log2(3)) / 3)
    assert models["bad"].metrics["hit_rate@2"].value == 0
    assert models["bad"].metrics["coverage@1"].value == pytest.approx(1 / 6)
    assert models["good"].metrics["coverage@2"].value == pytest.approx(4 / 6)
    for name in WHOLE:
        found = models["good"].metrics[f"{name}@2"]
        assert found.low == found.value == found.high
    assert list(differences) == ["bad"]
    assert differences["bad"].metrics["recall@2"].value == 1
    assert differences["bad"].metrics["recall@2"].low == 1


def test_the_slice_of_novel_items_is_judged_on_lists_without_seen_ones():
    given = task([[0, 1]], [[0, 2]])
    lists = Lists(shown=np.array([[0, 1]], np.int32), novel=np.array([[2, 3]], np.int32))
    models, _, sizes = judge(given, {"one": lists}, (2,), seed=0)
    assert models["one"].metrics["recall@2"].value == 0.5
    # Of the two relevant items, 0 was seen: repeat has it at rank 1; novel-only has 2 alone, listed first.
    assert models["one"].slices["repeat"]["ndcg@2"].value == 1
    assert models["one"].slices["novel-only"]["ndcg@2"].value == 1
    assert sizes["novel-only"] == sizes["repeat"] == 1


def test_slices_by_history_and_by_item():
    train = histories([[0], [0], [0], [0], [0], [1]])
    history = histories([[], [0], [0, 1, 2, 3, 4]])
    relevant = histories([[0], [1], [0, 1]])
    found = {part.name: part.relevant for part in slices(train, history, relevant)}
    # Item 0 has five users in train, item 1 has one: cold.
    assert found["cold-item"].lengths.tolist() == [0, 1, 1]
    assert found["cold-user"].lengths.tolist() == [1, 1, 0]
    assert found["history-0"].lengths.tolist() == [1, 0, 0]
    assert found["history-1-4"].lengths.tolist() == [0, 1, 0]
    assert found["history-5-19"].lengths.tolist() == [0, 0, 2]
    assert "history-100+" not in found


def test_every_user_is_in_one_segment_and_every_relevant_item_is_novel_or_repeated():
    rng = np.random.default_rng(0)
    train = histories([rng.integers(0, 6, 4) for _ in range(9)])
    history = histories([rng.integers(0, 6, n) for n in (0, 1, 4, 5, 19, 20, 99, 100, 150)])
    relevant = histories([np.unique(rng.integers(0, 6, 3)) for _ in range(9)])
    found = {part.name: part.relevant for part in slices(train, history, relevant)}
    segments = [part.lengths for name, part in found.items() if name.startswith("history-")]
    assert np.array_equal(sum(segments), relevant.lengths)
    assert np.array_equal(found["novel-only"].lengths + found["repeat"].lengths, relevant.lengths)


def test_a_slice_that_holds_everything_has_the_figures_of_all():
    given = task([[0], [1], []], [[1], [2], [3]], exclude_seen=True)
    lists = Lists(*[np.array([[1, 2], [2, 0], [0, 3]], np.int32)] * 2)
    models, _, sizes = judge(given, {"one": lists}, (2,), seed=4)
    assert sizes["novel-only"] == 3
    assert models["one"].slices["novel-only"]["ndcg@2"] == models["one"].metrics["ndcg@2"]
    assert "coverage@2" not in models["one"].slices["novel-only"]


def test_intervals_hold_the_value_and_repeat_by_seed():
    rng = np.random.default_rng(1)
    given = task([[int(i)] for i in rng.integers(0, 6, 50)], [[int(i)] for i in rng.integers(0, 6, 50)])
    ranked = np.array([rng.permutation(6)[:3] for _ in range(50)], np.int32)
    first, again = (judge(given, {"one": Lists(ranked, ranked)}, (3,), seed=7)[0]["one"].metrics for _ in range(2))
    assert first == again
    assert first["recall@3"].low < first["recall@3"].value < first["recall@3"].high


def test_lists_come_from_one_pass_and_leave_out_what_they_must():
    train = histories([[0, 1, 2], [0, 1], [0]])
    model = Popularity().fit(train, FitContext(seed=0))
    lists = make_lists(model, histories([[0], []]), 2, exclude_seen=False)
    assert lists.shown.tolist() == [[0, 1], [0, 1]]
    assert lists.novel.tolist() == [[1, 2], [0, 1]]
    only = make_lists(model, histories([[0], []]), 2, exclude_seen=True)
    assert only.shown is only.novel
    assert only.shown.tolist() == [[1, 2], [0, 1]]


@pytest.mark.parametrize(
    ("scores", "message"), [(np.full((1, 6), np.nan), "NaN"), (np.zeros((1, 5)), "1 users and 6 items")]
)
def test_scores_without_an_order_are_refused(scores, message):
    class Odd(Popularity):
        name = "odd"

        def score(self, histories):
            return scores.astype(np.float32)

    with pytest.raises(DataError, match=message):
        make_lists(Odd(), histories([[0]]), 2, exclude_seen=True)


def test_a_missing_value_takes_no_part_in_the_mean_of_a_resample():
    values = np.array([[1.0, 5.0], [2.0, np.nan], [3.0, np.nan]])
    means = bootstrap_known_means(values, seed=0, resamples=200)
    # The first column is complete: as by the plain bootstrap. The second has 5 alone, or nothing at all.
    np.testing.assert_allclose(means[:, 0], bootstrap_means(values[:, :1], seed=0, resamples=200)[:, 0])
    assert set(means[~np.isnan(means[:, 1]), 1].tolist()) == {5.0}
    assert np.isnan(means[:, 1]).any()
    assert interval_of(5.0, means[:, 1]).high == 5


def test_without_any_value_an_interval_is_its_centre():
    assert interval_of(2.0, np.full(10, np.nan)).low == 2


def test_groups_of_many_users_vary_as_the_users_do():
    rng = np.random.default_rng(0)
    values = np.column_stack(
        [rng.exponential(1.0, 12_000), np.where(rng.random(12_000) < 0.3, np.nan, rng.normal(5, 2, 12_000))]
    )
    means = bootstrap_known_means(values, seed=0)
    # Standard errors: 1 / sqrt(12,000) = .00913 and 2 / sqrt(8,400) = .0218; 2,000 resamples and 5,000 groups know a
    # standard deviation to about 1.6 and 1 percent, hence 6 as three standard deviations.
    assert means[:, 0].std() == pytest.approx(1 / np.sqrt(12_000), rel=0.06)
    assert means[:, 1].std() == pytest.approx(2 / np.sqrt(np.isfinite(values[:, 1]).sum()), rel=0.06)
    np.testing.assert_allclose(means.mean(axis=0), np.nanmean(values, axis=0), rtol=0.002)
