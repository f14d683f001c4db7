"""Item-kNN: items whose users overlap with those of the user's items (Sarwar et al., 2001)."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.inputs import bounded, popularity_tie, require_interactions, values
from tastemaker.models.protocol import FitContext, Scores

__all__ = ["ItemKnn"]

_TIE = 1e-6  # popularity orders the items that are no neighbour of any of the user's


class ItemKnn:
    """Items by the sum of their similarities with the user's items.

    Interactions are binary; an item is no neighbour of itself.

    Args:
        neighbours: kept per item, at least 1.
        shrinkage: added to the denominator of the cosine; above 0, similarities that few users speak for count less.
        damping: a user of ``n`` items counts ``n ** -damping``: long histories say less about each pair.
        exponent: of the degree of the user's item in the denominator, the rest for the other item: 0.5 is the cosine,
            higher favours popular items.
        half_life: of an item of the history, in interactions; None: all count the same, as they do without times.

    Raises:
        DataError: a hyperparameter is outside its range.
    """

    name = "item-knn"

    def __init__(
        self,
        *,
        neighbours: int = 500,
        shrinkage: float = 3.0,
        damping: float = 0.5,
        exponent: float = 0.7,
        half_life: float | None = 2.0,
    ) -> None:
        if neighbours < 1 or shrinkage < 0 or (half_life is not None and not half_life > 0):
            raise DataError("item-knn needs neighbours of at least 1, a shrinkage of at least 0, a half-life above 0")
        self.neighbours = neighbours
        self.shrinkage = shrinkage
        self.damping = damping
        self.exponent = exponent
        self.half_life = half_life

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Neighbourhoods and what they weigh."""
        choices: dict[str, tuple[Any, ...]] = {
            "neighbours": (100, 500, 1000),
            "shrinkage": (0.0, 1.0, 3.0, 10.0),
            "damping": (0.0, 0.5, 1.0),
            "exponent": (0.5, 0.7, 0.85),
        }
        return choices if train.times is None else {**choices, "half_life": (1.0, 2.0, 6.0, None)}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Find each item's neighbours.

        Raises:
            DataError: there are no interactions.
        """
        from tastemaker.models.neighbours import nearest_items

        require_interactions(train)
        taken = bounded(train, context).matrix(binary=True)
        lengths = np.maximum(np.diff(taken.indptr), 1).astype(np.float32)
        self._similar = nearest_items(
            taken,
            k=self.neighbours,
            user_weights=lengths**-self.damping,
            exponent=self.exponent,
            shrinkage=self.shrinkage,
        )
        self._tie = popularity_tie(train.popularity(), _TIE)
        return self

    def score(self, histories: Histories) -> Scores:
        """Similarities summed over the history."""
        scores: Scores = (values(histories, self.half_life) @ self._similar).toarray()
        scores += self._tie
        return scores
