"""The union of what the sources rank highest."""

import numpy as np

from tastemaker.models.histories import Histories
from tastemaker.models.pipeline.candidates import find_candidates


class _Fixed:
    """A source with given scores."""

    name = "fixed"

    def __init__(self, scores: list[list[float]]) -> None:
        self._scores = np.array(scores, dtype=np.float32)

    def score(self, histories: Histories) -> np.ndarray:
        return self._scores[: histories.n_users].copy()


_HISTORIES = Histories.of([0, 1], [0, 3], n_users=2, n_items=4)
_FIRST = _Fixed([[9, 1, 2, 3], [4, 3, 2, 9]])
_SECOND = _Fixed([[9, 8, 0, 0], [1, 2, 9, 9]])


def test_find_candidates_unites_and_scores_by_every_source() -> None:
    found = find_candidates([_FIRST, _SECOND], _HISTORIES, 2, exclude_seen=False)
    assert found.items.tolist() == [[0, 1, 3], [0, 2, 3]]
    assert found.scores[0].tolist() == [[9, 9], [1, 8], [3, 0]]
    assert found.ranks[0].tolist() == [[0, 0], [2, 1], [1, 2]]


def test_find_candidates_leaves_out_seen_items_and_pads() -> None:
    found = find_candidates([_FIRST], _HISTORIES, 2, exclude_seen=True)
    assert found.items.tolist() == [[2, 3], [0, 1]]
    assert not set(found.items[1]) & {3}


def test_find_candidates_more_than_the_catalogue_gives_the_catalogue() -> None:
    found = find_candidates([_FIRST], _HISTORIES, 50, exclude_seen=True)
    assert found.items.tolist() == [[1, 2, 3], [0, 1, 2]]
