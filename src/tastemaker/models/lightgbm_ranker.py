"""A LightGBM ranker over the candidates of simpler models: what a good shop builds before it builds towers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.inputs import require_interactions
from tastemaker.models.protocol import FitContext, Model, Scores

__all__ = ["LightgbmRanker"]

_CELLS = 4_000_000  # of one source's score block
_HELD = 0.2  # of each history, its newest part, are the labels


class LightgbmRanker:
    """LambdaRank (Burges, 2010) over the union of several models' best items.

    The sources learn from the older part of each history; the trees learn which of their candidates are in the newest
    part (without times: in a random part); then the sources learn again from everything. What is no candidate is listed
    after all candidates, in the order of the first source.

    Args:
        candidates: taken from each source.
        trees: at most; fewer when those that part of the users hold back do not gain, or when the deadline comes.
        leaves: of a tree.
        learning_rate: of a tree.
        max_users: whose candidates the trees learn from, drawn by the seed.
        sources: names of models; None: item-kNN, own frequency, popularity, and with times session-kNN, co-visitation
            and recent popularity, without them user-kNN.

    Raises:
        DataError: a hyperparameter is outside its range.
    """

    name = "lightgbm-ranker"

    def __init__(
        self,
        *,
        candidates: int = 60,
        trees: int = 200,
        leaves: int = 15,
        learning_rate: float = 0.05,
        max_users: int = 15_000,
        sources: tuple[str, ...] | None = None,
    ) -> None:
        if min(candidates, trees, max_users) < 1 or leaves < 2 or not learning_rate > 0:
            raise DataError("lightgbm-ranker needs candidates, trees and max_users of at least 1, and leaves of 2")
        self.candidates = candidates
        self.trees = trees
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.max_users = max_users
        self.sources = sources

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Candidates and the size of the trees."""
        return {
            "candidates": (30, 60, 120),
            "trees": (60, 200, 400),
            "leaves": (7, 15, 31),
            "learning_rate": (0.05, 0.1),
        }

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Fit the sources on the past, the trees on what followed, and the sources on everything.

        Raises:
            DataError: there are no interactions, no user has two, or LightGBM is not installed.
        """
        from tastemaker.models.lightgbm_candidates import ItemFacts, feature_names
        from tastemaker.models.lightgbm_trees import grow

        require_interactions(train)
        random = np.random.default_rng(context.seed)
        head, tail = _split(train, random)
        able = np.flatnonzero((tail.lengths > 0) & (head.lengths > 0))
        if not len(able):
            raise DataError("lightgbm-ranker needs users with two interactions or more; there are none in train")
        able = np.sort(random.permutation(able)[: self.max_users])
        self._fitted = self._sources(head, context)
        self._facts = ItemFacts.of(head)
        features, labels, groups = self._examples(head.take(able), tail.take(able), context.exclude_seen)
        self._trees = grow(
            features,
            labels,
            groups,
            names=feature_names(self._fitted),
            trees=self.trees,
            leaves=self.leaves,
            learning_rate=self.learning_rate,
            context=context,
        )
        self._fitted = self._sources(train, context)
        self._facts = ItemFacts.of(train)
        return self

    def score(self, histories: Histories) -> Scores:
        """The trees' score for candidates, above all else; below, the order of the first source."""
        from tastemaker.models.lightgbm_candidates import gather
        from tastemaker.models.lightgbm_trees import predict

        scores = np.empty((histories.n_users, histories.n_items), np.float32)
        for users in self._blocks(histories):
            found, order = gather(self._fitted, histories.take(users), self._facts, self.candidates)
            judged = predict(self._trees, found.features)
            lowest = np.float32(judged.min(initial=0.0)) - 2.0
            least, most = order.min(axis=1, keepdims=True), order.max(axis=1, keepdims=True)
            block = lowest + (order - least) / np.maximum(most - least, 1e-12)
            block[found.rows, found.items] = judged
            scores[users] = block
        return scores

    def _sources(self, train: Histories, context: FitContext) -> dict[str, Model]:
        """The candidate sources, fitted."""
        from tastemaker.models.registry import create

        unordered = ("item-knn", "user-knn", "own-frequency", "popularity")
        ordered = ("item-knn", "session-knn", "co-visitation", "own-frequency", "popularity", "recent-popularity")
        names = self.sources or (unordered if train.times is None else ordered)
        quiet = replace(context, validation=None)
        return {name: create(name).fit(train, quiet) for name in names}

    def _examples(
        self, head: Histories, tail: Histories, exclude_seen: bool | None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8], npt.NDArray[np.int64]]:
        """Features and labels of the candidates, and how many each user has; users without a hit teach nothing."""
        from tastemaker.models.lightgbm_candidates import gather

        if exclude_seen is None:  # nobody said: where nothing is ever taken again, it need not be learned
            again = head.matrix(binary=True).multiply(tail.matrix(binary=True)).nnz
            exclude_seen = again == 0
        features, labels, groups = [], [], []
        for users in self._blocks(head):
            found, _ = gather(self._fitted, head.take(users), self._facts, self.candidates)
            after = tail.take(users)
            wanted = np.unique(after.rows * after.n_items + after.items)
            label = np.isin(found.rows * after.n_items + found.items, wanted)
            taken = np.asarray(head.take(users).matrix(binary=True)[found.rows, found.items]).ravel() > 0
            listed = ~taken if exclude_seen else np.ones(len(label), bool)
            hits = np.bincount(found.rows, weights=label & listed, minlength=len(users)) > 0
            kept = hits[found.rows] & listed
            features.append(found.features[kept])
            labels.append(label[kept].astype(np.int8))
            groups.append(np.bincount(found.rows[kept], minlength=len(users))[hits])
        if not sum(map(len, groups)):
            raise DataError("no candidate of any source is in the held-out part of a history; there is too little data")
        return np.concatenate(features), np.concatenate(labels), np.concatenate(groups)

    @staticmethod
    def _blocks(histories: Histories) -> list[npt.NDArray[np.int64]]:
        """Users in blocks for which all sources' scores fit into memory."""
        step = max(1, _CELLS // max(1, histories.n_items))
        return [np.arange(start, min(start + step, histories.n_users)) for start in range(0, histories.n_users, step)]


def _split(train: Histories, random: np.random.Generator) -> tuple[Histories, Histories]:
    """The older and the newest part of each history; without times a random part takes the place of the newest.

    The older part is asked about at the moment at which the newest begins.
    """
    held = np.minimum(np.maximum(np.round(train.lengths * _HELD), 1), np.maximum(train.lengths - 1, 0)).astype(np.int64)
    if train.times is None:
        order = np.lexsort((random.random(len(train.items)), train.rows))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
    else:
        place = np.arange(len(train.items))
    late = place >= np.repeat(train.offsets[1:] - held, train.lengths)
    head, tail = train.where(~late), train.where(late)
    if train.times is not None and train.now is not None:
        begin = train.now.copy()
        some = tail.lengths > 0
        assert tail.times is not None
        begin[some] = tail.times[tail.offsets[:-1][some]]
        head = head.at(begin)
    return head, tail
