"""What this user took most often. Hard to beat where people buy again."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.inputs import require_interactions
from tastemaker.models.protocol import FitContext, Scores

__all__ = ["OwnFrequency"]

_TIE = 1e-3  # below a difference of one interaction; popularity orders ties and the items that a user never took


class OwnFrequency:
    """Items by the user's own number of interactions, those long ago counting less; then by popularity.

    Args:
        half_life: after which an interaction counts half, as a share of the time that the training data spans;
            None, or data without times: all count the same.

    Raises:
        DataError: the half-life is not positive.
    """

    name = "own-frequency"

    def __init__(self, *, half_life: float | None = 0.25) -> None:
        if half_life is not None and not half_life > 0:
            raise DataError(f"a half-life must be above 0, not {half_life}")
        self.half_life = half_life

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Half-lives, where there are times."""
        return {} if train.times is None else {"half_life": (0.02, 0.06, 0.25, 1.0, None)}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Measure the time that the data spans, and popularity for ties.

        Raises:
            DataError: there are no interactions.
        """
        require_interactions(train)
        popularity = train.popularity()
        self._tie = (_TIE * popularity / (popularity.max() + 1)).astype(np.float32)
        self._span = 1.0 if train.times is None else max(float(np.ptp(train.times)), 1e-9)
        return self

    def score(self, histories: Histories) -> Scores:
        """Counts, decayed up to each user's ``now``, plus what breaks ties."""
        strength = histories.weights
        ages = histories.ages
        if self.half_life is not None and ages is not None:
            strength = strength * np.exp2(-ages / (self.half_life * self._span)).astype(np.float32)
        scores: Scores = histories.matrix(strength).toarray()
        scores += self._tie
        return scores
