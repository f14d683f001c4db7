"""What the ranker learns from: which lists are held out, and which outcomes are left out."""

import numpy as np
import pytest

from tastemaker.release.ranker_parameters import ReleaseRankerParameters
from tastemaker.training.ranker_lessons import lessons_of
from tastemaker.training.ranking_set import RankingSet

BOTH = ReleaseRankerParameters(outcomes=("view", "purchase"), outcome_weights=(0.1, 1.0))


def lists(count: int, *, viewed: bool = True, bought: bool = True) -> RankingSet:
    """Lists of two candidates, of which the first one was viewed and bought; the one feature is the list's number."""
    features = np.repeat(np.arange(count, dtype=np.float32), 2).reshape(count, 2, 1)
    labels = np.zeros((count, 2, 2), dtype=np.float32)
    labels[:, 0] = viewed, bought
    nothing = np.zeros((0, 0), dtype=np.float32)
    positions = np.zeros((count, 2), dtype=np.int32)
    return RankingSet(features, labels, positions, trained=nothing, served=nothing, recall=1.0)


def lessons(ranking_set: RankingSet):
    told: list[str] = []
    return lessons_of(ranking_set, BOTH, ("number",), told.append), told


@pytest.mark.parametrize("count", [1, 10, 499])
def test_few_lists_are_all_learned_from(count):
    found, told = lessons(lists(count))
    assert found.held_out is None
    assert found.lists.n_lists == count
    assert (found.parameters, told) == (BOTH, [])


def test_of_many_lists_every_tenth_is_held_out_and_none_is_lost():
    found, _ = lessons(lists(501))
    assert found.held_out is not None
    held, learned = found.held_out.features[:, 0, 0].tolist(), found.lists.features[:, 0, 0].tolist()
    assert held == list(range(9, 501, 10))  # the tenth, the twentieth, ..., the five hundredth
    assert sorted(held + learned) == list(range(501))
    assert found.lists.positions is None  # nobody saw a place


def test_held_out_lists_without_a_hit_judge_nothing():
    given = lists(500)
    given.labels[9::10] = 0
    found, _ = lessons(given)
    assert found.held_out is None
    assert found.lists.n_lists == 450


def test_an_outcome_that_happened_to_nobody_is_told_and_left_out():
    found, told = lessons(lists(10, viewed=False))
    assert found.parameters.outcomes == ("purchase",)
    assert found.lists.labels.shape == (10, 2, 1)
    assert told == ["no view in the label windows: the ranker learns the other outcomes"]


def test_lists_without_any_hit_keep_all_outcomes_for_the_fit_to_refuse():
    found, told = lessons(lists(10, viewed=False, bought=False))
    assert (found.parameters, found.lists.labels.shape, told) == (BOTH, (10, 2, 2), [])
