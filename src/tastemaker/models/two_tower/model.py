"""The two-tower model behind the interface of all models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext, Scores
from tastemaker.models.two_tower.configuration import configure
from tastemaker.models.two_tower.saved import load_saved

if TYPE_CHECKING:
    from tastemaker.models.two_tower.content import ContentScale
    from tastemaker.models.two_tower.fitting import Fitted
    from tastemaker.models.two_tower.scoring import Scorer

__all__ = ["TwoTower"]

Floats = npt.NDArray[np.float32]


class TwoTower:
    """Retrieval by two towers that are trained with a softmax over the catalogue.

    The query tower sees a history only, never who has it; the item tower sees id and content. TensorFlow is imported
    by what needs it, since it takes seconds.

    Args:
        encoder: "weighted-mean", "gru", "transformer", or "auto": what measured best for the kind of data.
        strategy: "none", "mirrored" or "multi-worker"; see
            :func:`~tastemaker.models.two_tower.strategies.strategy_named`.
        warm_start: folder of an earlier model to start from.
        checkpoint_dir: folder from which a killed training goes on.
        vocabulary: ids of the items in their order: lets a warm start match catalogues, and is saved.
        parameters: any further ones of :class:`~tastemaker.models.two_tower.parameters.TowerParameters`.
    """

    name = "two-tower"

    def __init__(
        self,
        *,
        encoder: str = "auto",
        strategy: str = "none",
        warm_start: Path | None = None,
        checkpoint_dir: Path | None = None,
        vocabulary: Sequence[str] | None = None,
        **parameters: Any,
    ) -> None:
        self.chosen = {"encoder": encoder} | parameters
        self.strategy, self.warm_start, self.checkpoint_dir = strategy, warm_start, checkpoint_dir
        self.vocabulary = None if vocabulary is None else tuple(vocabulary)
        self._scorer: Scorer | None = None
        self._fitted: Fitted | None = None
        self._scale: ContentScale | None = None
        self._content: Any = None

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Values worth trying."""
        if train.times is None:
            return {"held_out": (0.5, 0.8), "dropout": (0.3, 0.5), "temperature": (0.1, 0.07)}
        return {"encoder": ("auto", "transformer", "weighted-mean"), "dropout": (0.3, 0.5), "temperature": (0.07, 0.05)}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Train until the validation part says no more, or the deadline comes.

        Raises:
            DataError: nobody has two interactions, or a parameter is impossible.
        """
        if not (train.lengths >= 2).any():
            raise DataError("no user has two interactions: there is nothing to predict from anything")
        known = None if self.warm_start is None else load_saved(self.warm_start)
        # Weights fit the shape that they were trained in: what is not chosen now is as it was then.
        shape = {} if known is None else known.parameters.shape()
        parameters = configure(train, shape | {name: value for name, value in self.chosen.items() if value != "auto"})
        from tastemaker.models.two_tower.fitting import fit
        from tastemaker.models.two_tower.warm_start import Earlier

        earlier = None if known is None else Earlier.of(known, train, self.vocabulary)
        self._fitted = fit(
            train,
            context,
            parameters,
            strategy=self.strategy,
            earlier=earlier,
            checkpoint_dir=self.checkpoint_dir,
        )
        self._scorer, self.parameters, self.curve = self._fitted.scorer, parameters, self._fitted.curve
        self._scale, self._content = self._fitted.scale, self._fitted.content
        return self

    def score(self, histories: Histories) -> Scores:
        """Inner products of queries and items, see the protocol.

        Raises:
            DataError: the model is not fitted, or the histories are of another catalogue.
        """
        return self._ready().score(histories)

    def query_vectors(self, histories: Histories) -> Floats:
        """Vectors of users, float32 ``[users, width]``: products with :meth:`item_vectors` are scores."""
        return self._ready().queries(histories)

    def item_vectors(self) -> Floats:
        """Vectors of the catalogue, float32 ``[n_items, width]``, for an index."""
        return self._ready().vectors

    def new_item_vectors(self, items: pa.Table) -> Floats:
        """Vectors of items that training never saw, from content alone.

        Args:
            items: see :class:`~tastemaker.models.protocol.FitContext`.

        Returns:
            float32 ``[n, width]``, to be searched among :meth:`item_vectors`.

        Raises:
            DataError: the model was trained without content, or none is given.
        """
        from tastemaker.models.two_tower.content import encode_content
        from tastemaker.models.two_tower.item_table import facts_of_table

        self._ready()
        facts = facts_of_table(items)
        if self._scale is None or facts is None:
            raise DataError("the model knows items by id alone; give items with title, category or price to its fit")
        unknown = np.full(len(facts), -1, dtype=np.int32)
        return np.asarray(self._content.ask(rows=unknown, **vars(encode_content(facts, self._scale))), dtype=np.float32)

    def save(self, directory: Path, about: Mapping[str, str] | None = None) -> None:
        """Write the model as one folder; see :func:`~tastemaker.models.two_tower.export.export`.

        Raises:
            DataError: the model was not fitted here.
        """
        from tastemaker.models.two_tower.export import export

        if self._fitted is None:
            raise DataError("only a model that was fitted is saved; a loaded one is in its folder already")
        export(self._fitted, directory, self.vocabulary, about)

    @classmethod
    def load(cls, directory: Path) -> "TwoTower":
        """Read a saved model, to score with; fitting it starts anew.

        Raises:
            DataError: there is no model, or it is of another version.
        """
        from tastemaker.models.two_tower.scoring import Scorer

        known = load_saved(directory)
        of_data = ("ordered", "time_unit", "n_types", "compiled")
        chosen = {name: value for name, value in known.parameters.to_json().items() if name not in of_data}
        model = cls(vocabulary=known.vocabulary, **chosen)
        model._scorer = Scorer(known.parameters, known.vectors, known.query_tower())
        model.parameters, model.curve, model._scale = known.parameters, known.curve, known.scale
        model._content = None if known.scale is None else known.content_tower()
        return model

    def _ready(self) -> "Scorer":
        if self._scorer is None:
            raise DataError("the two-tower model is not fitted; call fit or load")
        return self._scorer
