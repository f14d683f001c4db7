"""Session-kNN: what happened next in similar sessions, with order and recency (V-SkNN, STAN, VMIS-kNN)."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.inputs import require_interactions
from tastemaker.models.protocol import FitContext, Scores

__all__ = ["SessionKnn"]

_TIE = 1e-9  # popularity orders what no neighbour has


class SessionKnn:
    """Items by the votes of similar training sessions.

    The three decays are those of STAN (Garg et al., SIGIR 2019): old items of the asked session count less (as in
    V-SkNN, Ludewig and Jannach, 2018), old sessions count less, and a neighbour speaks for the items near the newest
    common one. Only the latest sessions of each item are looked at, as in VMIS-kNN (Kersbergen et al., SIGMOD 2022).
    Without times there are no decays, and it is a user-kNN.

    Args:
        neighbours: sessions that vote.
        half_life: of an item of the asked session, in interactions.
        spread: moments from the newest common item after which a neighbour's vote halves; None: it is the same for all.
        age: half-life of a training session by its end, as a share of the time that the ends span; None: all count the
            same.
        rarity: an item of ``d`` sessions counts ``d ** -rarity`` in the similarity.
        normalise: a training session of ``n`` items counts ``n ** -normalise``.
        power: of the similarity in the vote.
        sample: latest training sessions looked at per item.

    Raises:
        DataError: a hyperparameter is outside its range.
    """

    name = "session-knn"

    def __init__(
        self,
        *,
        neighbours: int = 500,
        half_life: float | None = 1.5,
        spread: float | None = 2.0,
        age: float | None = None,
        rarity: float = 0.2,
        normalise: float = 0.4,
        power: float = 1.0,
        sample: int = 2000,
    ) -> None:
        if min(neighbours, sample) < 1 or any(x is not None and not x > 0 for x in (half_life, spread, age)):
            raise DataError("session-knn needs neighbours and sample of at least 1; half_life, spread and age above 0")
        self.neighbours = neighbours
        self.half_life = half_life
        self.spread = spread
        self.age = age
        self.rarity = rarity
        self.normalise = normalise
        self.power = power
        self.sample = sample

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Neighbourhood, decays and weights."""
        choices: dict[str, tuple[Any, ...]] = {
            "neighbours": (100, 500, 1500),
            "rarity": (0.0, 0.2, 0.5),
            "normalise": (0.2, 0.4, 0.7),
            "power": (1.0, 1.5),
        }
        if train.times is None:
            return choices
        decays = {"half_life": (0.7, 1.5, 4.0), "spread": (1.0, 2.0, 5.0, None), "age": (0.2, 0.5, None)}
        return {**choices, **decays}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Index the sessions.

        Raises:
            DataError: there are no interactions.
        """
        from tastemaker.models.history_neighbours import HistoryIndex

        require_interactions(train)
        self._index = HistoryIndex.of(train, normalise=self.normalise, half_life=self.age)
        popularity = train.popularity()
        self._item_weights = (np.maximum(popularity, 1.0) ** -self.rarity).astype(np.float32)
        self._tie = (_TIE * popularity / popularity.max()).astype(np.float32)
        return self

    def score(self, histories: Histories) -> Scores:
        """Votes for each item."""
        from tastemaker.models.history_neighbours import score_by_neighbours

        scores = score_by_neighbours(
            self._index,
            histories,
            self._item_weights,
            neighbours=self.neighbours,
            sample=self.sample,
            half_life=self.half_life,
            spread=self.spread,
            power=self.power,
        )
        scores += self._tie
        return scores
