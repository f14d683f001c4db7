"""Co-visitation: what followed the user's latest items in other histories; a smoothed Markov chain with a memory."""

from collections.abc import Mapping
from typing import Any, Self

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.inputs import popularity_tie, recency, require_interactions, require_times
from tastemaker.models.protocol import FitContext, Scores

__all__ = ["CoVisitation"]

_TIE = 1e-7  # popularity orders what never followed


class CoVisitation:
    """Items by how often they came soon after the user's items, the newest counting most.

    Args:
        window: moments between two items that still count as a transition.
        fade: what one more moment between them leaves of a transition, in (0, 1].
        backward: what a transition counts in the other direction, at least 0.
        exponent: how much popular targets are held back: 0 gives transition probabilities, 0.5 a cosine.
        smoothing: added to the totals of items; rare items are then sure of nothing.
        half_life: of an item of the history, in interactions.
        targets: kept per item.

    Raises:
        DataError: a hyperparameter is outside its range.
    """

    name = "co-visitation"

    def __init__(
        self,
        *,
        window: int = 10,
        fade: float = 0.7,
        backward: float = 0.5,
        exponent: float = 0.15,
        smoothing: float = 10.0,
        half_life: float | None = 1.5,
        targets: int = 300,
    ) -> None:
        if min(window, targets) < 1 or not 0 < fade <= 1 or min(backward, smoothing) < 0:
            raise DataError(
                "co-visitation needs window and targets of at least 1, fade in (0, 1], weights of at least 0"
            )
        if half_life is not None and not half_life > 0:
            raise DataError(f"a half-life must be above 0, not {half_life}")
        self.window = window
        self.fade = fade
        self.backward = backward
        self.exponent = exponent
        self.smoothing = smoothing
        self.half_life = half_life
        self.targets = targets

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Reach and direction of transitions, smoothing, memory."""
        return {
            "window": (1, 3, 10, 30),
            "fade": (0.5, 0.7, 0.85),
            "backward": (0.0, 0.2, 0.5, 0.9),
            "exponent": (0.0, 0.15, 0.3),
            "smoothing": (2.0, 10.0, 40.0),
            "half_life": (0.7, 1.5, 4.0, 12.0),
        }

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Count transitions.

        Raises:
            DataError: there are no interactions, or no times.
        """
        from tastemaker.models.transitions import transitions

        require_interactions(train)
        require_times(train, self.name)
        self._follows = transitions(
            train,
            window=self.window,
            fade=self.fade,
            backward=self.backward,
            exponent=self.exponent,
            smoothing=self.smoothing,
            k=self.targets,
        )
        self._tie = popularity_tie(train.popularity(), _TIE)
        return self

    def score(self, histories: Histories) -> Scores:
        """What follows each item of the history, summed."""
        scores: Scores = (histories.matrix(recency(histories, self.half_life)) @ self._follows).toarray()
        scores += self._tie
        return scores
