"""Candidates of a LambdaRank baseline: what each source puts first, and what is known of each pair."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Floats, Histories
from tastemaker.models.protocol import Model
from tastemaker.models.ranking import PADDING, top_k

__all__ = ["Candidates", "ItemFacts", "feature_names", "gather"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ItemFacts:
    """What is known of each item whoever asks, float32 ``[items]`` each.

    Attributes:
        popularity: users, as a logarithm.
        trend: share of the item's interactions that are among the newest; 0 without times.
    """

    popularity: Floats
    trend: Floats

    @classmethod
    def of(cls, train: Histories, *, recent: float = 0.1) -> "ItemFacts":
        """Count.

        Args:
            train: every user's interactions.
            recent: share of all interactions that count as new.
        """
        popularity = train.popularity()
        trend: npt.NDArray[np.floating] = np.zeros(train.n_items, np.float32)
        if train.times is not None and len(train.times):
            new = train.where(train.times >= np.quantile(train.times, 1.0 - recent)).popularity()
            trend = new / np.maximum(popularity, 1.0)
        return cls(np.log1p(popularity).astype(np.float32), trend.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of users and items, user by user.

    Attributes:
        offsets: int64 ``[users + 1]``.
        items: int32 ``[n]``.
        features: float32 ``[n, features]``.
    """

    offsets: Ints
    items: npt.NDArray[np.int32]
    features: Floats

    @property
    def rows(self) -> Ints:
        """int64 ``[n]``: the user of each pair."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def feature_names(sources: Mapping[str, Model]) -> list[str]:
    """The columns of :func:`gather`."""
    of_sources = [f"{what}:{name}" for name in sources for what in ("score", "rank")]
    return [*of_sources, "popularity", "trend", "taken", "steps_since", "history", "kinship"]


def gather(
    sources: Mapping[str, Model], histories: Histories, facts: ItemFacts, per_source: int
) -> tuple[Candidates, Floats]:
    """The best items of every source for each user, once each.

    Args:
        sources: fitted models; the first gives the order of what is no candidate.
        histories: whom to gather for; few enough that scores of all items fit into memory, once per source.
        facts: of the items.
        per_source: items taken from each source.

    Returns:
        The candidates, and the first source's scores ``[users, items]``.
    """
    n_users, n_items = histories.n_users, histories.n_items
    scores = [model.score(histories) for model in sources.values()]
    lists = [top_k(found, per_source) for found in scores]
    users = np.repeat(np.arange(n_users), per_source * len(lists))
    items = np.concatenate(lists, axis=1).ravel().astype(np.int64)
    pairs = np.unique((users * n_items + items)[items != PADDING])
    users, items = pairs // n_items, pairs % n_items

    columns: list[npt.NDArray[np.floating]] = []
    for found, ranked in zip(scores, lists, strict=True):
        # Scores mean something within a user only: relative to the user's best.
        best = np.maximum(np.abs(found).max(axis=1, initial=0.0), 1e-12)
        place = np.full((n_users, n_items), per_source + 1, np.int16)
        listed = np.nonzero(ranked != PADDING)
        place[listed[0], ranked[listed]] = listed[1] + 1
        columns += [found[users, items] / best[users], place[users, items].astype(np.float32)]
    count = histories.matrix(binary=False)
    length = np.log1p(histories.lengths)
    own_popularity = np.asarray(histories.matrix(binary=True) @ facts.popularity) / np.maximum(histories.lengths, 1)
    columns += [
        facts.popularity[items],
        facts.trend[items],
        np.asarray(count[users, items]).ravel(),
        _steps_since(histories, users, items),
        length[users],
        facts.popularity[items] - own_popularity[users],
    ]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=n_users))]).astype(np.int64)
    return Candidates(offsets, items.astype(np.int32), np.stack(columns, axis=1).astype(np.float32)), scores[0]


def _steps_since(histories: Histories, users: Ints, items: Ints) -> Floats:
    """Interactions since the user last took the item, 0 for the newest; NaN for never, which trees split on."""
    back = np.repeat(histories.offsets[1:], histories.lengths) - 1 - np.arange(len(histories.items))
    keys = histories.rows * histories.n_items + histories.items
    order = np.lexsort((back, keys))
    keys, back = keys[order], back[order]
    found = np.full(len(users), np.nan, np.float32)
    if len(keys):
        asked = users * histories.n_items + items
        where = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)  # the leftmost: the newest
        hit = keys[where] == asked
        found[hit] = back[where[hit]]
    return found
