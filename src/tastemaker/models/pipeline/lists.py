"""Candidates of validation users with features and labels: what blend and ranker learn from and are judged by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.models.pipeline.candidates import find_candidates
from tastemaker.models.pipeline.facts import ItemFacts
from tastemaker.models.pipeline.features import ranking_features
from tastemaker.models.protocol import Model
from tastemaker.models.quality import labels_of
from tastemaker.models.ranking import PADDING, blocks

__all__ = ["Lists", "join"]


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists to rank, with what followed.

    Attributes:
        items: int32 ``[lists, n]``, padded with -1.
        features: float32 ``[lists, n, features]``.
        labels: float32 ``[lists, n]``: 1 relevant, 0 not, -1 padding.
        n_relevant: int64 ``[lists]``: relevant items of each, offered or not.
    """

    items: npt.NDArray[np.int32]
    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.float32]
    n_relevant: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        models: Sequence[Model],
        history: Histories,
        relevant: Histories,
        facts: ItemFacts,
        *,
        each: int,
        exclude_seen: bool,
    ) -> Self:
        """Ask the sources for every user.

        Args:
            models: the sources, fitted on nothing of ``relevant``.
            history: whom to ask for.
            relevant: what followed, of the same users.
            facts: of what the sources were fitted on.
            each: candidates that a source may name.
            exclude_seen: leave out the items of a user's own history.
        """
        items, features = [], []
        for users in blocks(history.n_users, history.n_items):
            asked = history.take(users)
            found = find_candidates(models, asked, each, exclude_seen=exclude_seen)
            items.append(found.items)
            features.append(ranking_features(found, asked, facts))
        width = max(one.shape[1] for one in items)
        offered = np.concatenate([_wide(one, width, PADDING) for one in items])
        labels = np.where(offered >= 0, labels_of(offered, relevant), -1.0).astype(np.float32)
        return cls(offered, np.concatenate([_wide(one, width, 0) for one in features]), labels, relevant.lengths)

    @property
    def useful(self) -> npt.NDArray[np.int64]:
        """The lists that offer something relevant; nothing can be learned from the others."""
        return np.flatnonzero((self.labels == 1).any(axis=1))

    def take(self, lists: npt.NDArray[np.int64]) -> "Lists":
        """Some of the lists."""
        return Lists(self.items[lists], self.features[lists], self.labels[lists], self.n_relevant[lists])


def join(first: Lists, second: Lists) -> Lists:
    """All lists of both, which have the same features."""
    width = max(first.items.shape[1], second.items.shape[1])
    return Lists(
        np.concatenate([_wide(one.items, width, PADDING) for one in (first, second)]),
        np.concatenate([_wide(one.features, width, 0) for one in (first, second)]),
        np.concatenate([_wide(one.labels, width, -1) for one in (first, second)]),
        np.concatenate([first.n_relevant, second.n_relevant]),
    )


def _wide(values: npt.NDArray[Any], width: int, filling: float) -> npt.NDArray[Any]:
    """Padded along the candidates."""
    more = [(0, 0), (0, width - values.shape[1]), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, more, constant_values=filling)
