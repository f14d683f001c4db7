"""What most users took."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from tastemaker.models.histories import Histories
from tastemaker.models.inputs import require_interactions
from tastemaker.models.protocol import FitContext, Scores

__all__ = ["Popularity"]


class Popularity:
    """Items by the number of distinct users."""

    name = "popularity"

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Nothing to tune."""
        return {}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Count.

        Raises:
            DataError: there are no interactions.
        """
        require_interactions(train)
        self._scores = train.popularity()
        return self

    def score(self, histories: Histories) -> Scores:
        """The same for everybody."""
        return np.repeat(self._scores[None, :], histories.n_users, axis=0)
