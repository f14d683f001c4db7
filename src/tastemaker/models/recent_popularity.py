"""What most users took lately."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.inputs import require_interactions, require_times
from tastemaker.models.protocol import FitContext, Scores

__all__ = ["RecentPopularity"]


class RecentPopularity:
    """Items by the number of distinct users within the newest interactions; ties by popularity of all times.

    The window is a share of the interactions, not a number of days: it fits clicks of hours and purchases of years.

    Args:
        share: of all interactions that count as recent, in (0, 1].

    Raises:
        DataError: the share is outside its range.
    """

    name = "recent-popularity"

    def __init__(self, *, share: float = 0.05) -> None:
        if not 0 < share <= 1:
            raise DataError(f"the share of recent interactions must lie in (0, 1], not {share}")
        self.share = share

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Windows."""
        return {"share": (0.01, 0.02, 0.05, 0.15)}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Count.

        Raises:
            DataError: there are no interactions, or no times.
        """
        require_interactions(train)
        require_times(train, self.name)
        assert train.times is not None
        recent = train.times >= np.quantile(train.times, 1.0 - self.share)
        ever = train.popularity()
        # Counts are whole numbers, so a share below one only ever breaks ties.
        self._scores = train.where(recent).popularity() + ever / (ever.max() + 1)
        return self

    def score(self, histories: Histories) -> Scores:
        """The same for everybody."""
        return np.repeat(self._scores[None, :], histories.n_users, axis=0)
