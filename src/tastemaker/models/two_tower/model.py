"""The two-tower model behind the interface of all models."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext, Scores
from tastemaker.models.two_tower.configuration import configure

if TYPE_CHECKING:
    from tastemaker.models.two_tower.scoring import Scorer

__all__ = ["TwoTower"]


class TwoTower:
    """Retrieval by two towers that are trained with a softmax over the catalogue.

    The query tower sees a history only, never who has it; the item tower sees id and content.

    Args:
        encoder: "weighted-mean", "gru", "transformer", or "auto": what measured best for the kind of data.
        parameters: any further ones of :class:`~tastemaker.models.two_tower.parameters.TowerParameters`.
    """

    name = "two-tower"

    def __init__(self, *, encoder: str = "auto", **parameters: Any) -> None:
        self.chosen = {"encoder": encoder} | parameters
        self._scorer: Scorer | None = None

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Values worth trying."""
        if train.times is None:
            return {"held_out": (0.5, 0.8), "dropout": (0.3, 0.5), "temperature": (0.07, 0.1)}
        return {"encoder": ("transformer", "weighted-mean", "gru"), "dropout": (0.3, 0.5), "temperature": (0.07, 0.05)}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Train until the validation part says no more, or the deadline comes.

        Raises:
            DataError: nobody has two interactions, or a parameter is impossible.
        """
        if not (train.lengths >= 2).any():
            raise DataError("no user has two interactions: there is nothing to predict from anything")
        # TensorFlow takes seconds to import: only who trains pays for it.
        from tastemaker.models.two_tower.fitting import fit

        self.parameters = configure(train, self.chosen)
        self._scorer, self.curve = fit(train, context, self.parameters)
        return self

    def score(self, histories: Histories) -> Scores:
        """Inner products of queries and items, see the protocol.

        Raises:
            DataError: the model is not fitted, or the histories are of another catalogue.
        """
        if self._scorer is None:
            raise DataError("the two-tower model is not fitted; call fit or load")
        return self._scorer.score(histories)

    def item_vectors(self) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """float32 ``[n_items, dimension]``: for an index."""
        if self._scorer is None:
            raise DataError("the two-tower model is not fitted; call fit or load")
        return self._scorer.vectors
