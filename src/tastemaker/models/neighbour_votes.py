"""What user-kNN and session-kNN share: fitting an index of histories, and scoring by the votes of the nearest ones."""

from typing import Self

import numpy as np

from tastemaker.models.histories import Histories
from tastemaker.models.inputs import popularity_tie, require_interactions
from tastemaker.models.protocol import FitContext, Scores

__all__ = ["NeighbourVotes"]

_TIE = 1e-9  # popularity orders what no neighbour has


class NeighbourVotes:
    """Items by the votes of the training histories that are nearest; :class:`HistoryIndex` has them.

    Attributes:
        neighbours: histories that vote.
        half_life: of an item of the asked history, in interactions; None: all count the same, as without times.
        spread: moments from the newest common item after which a neighbour's vote halves; None: it is the same for all.
        age: half-life of a training history by its end, as a share of the time that the ends span; None: all count the
            same.
        rarity: an item of ``d`` users counts ``d ** -rarity`` in the similarity.
        normalise: a training history of ``n`` items counts ``n ** -normalise``.
        power: of the similarity in the vote.
        sample: latest training histories looked at per item.
    """

    neighbours: int
    half_life: float | None
    spread: float | None = None
    age: float | None = None
    rarity: float
    normalise: float
    power: float
    sample: int

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Index the histories.

        Raises:
            DataError: there are no interactions.
        """
        from tastemaker.models.history_neighbours import HistoryIndex

        require_interactions(train)
        self._index = HistoryIndex.of(train, normalise=self.normalise, half_life=self.age)
        popularity = train.popularity()
        self._item_weights = (np.maximum(popularity, 1.0) ** -self.rarity).astype(np.float32)
        self._tie = popularity_tie(popularity, _TIE)
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
