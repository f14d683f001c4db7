"""Scores of histories by a query tower and the items' vectors, in training and after it alike."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.keras import tensorflow
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import Scores
from tastemaker.models.two_tower.bags import query_bags
from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.sequences import query_rows

tf = tensorflow()

__all__ = ["Scorer"]

_USERS = 256


class Scorer:
    """Asks a query tower.

    Args:
        parameters: of the model.
        vectors: float32 ``[n_items, width]``, what queries are multiplied with; the first ``dimension`` columns are
            the items in histories, one more is a bias.
        tower: a :class:`~tastemaker.models.two_tower.asking.QueryTower`, made here or loaded.
    """

    name = "two-tower"

    def __init__(self, parameters: TowerParameters, vectors: npt.NDArray[np.float32], tower: Any) -> None:
        self.parameters, self.vectors, self._tower = parameters, vectors, tower

    def score(self, histories: Histories) -> Scores:
        """Logits, float32 ``[users, items]``.

        Raises:
            DataError: the histories are of another catalogue.
        """
        if histories.n_items != len(self.vectors):
            raise DataError(
                f"histories are coded for {histories.n_items} items, the model was fitted on {len(self.vectors)}"
            )
        return np.asarray(self.queries(histories) @ self.vectors.T, dtype=np.float32)

    def queries(self, histories: Histories) -> npt.NDArray[np.float32]:
        """Query vectors, float32 ``[users, width]``."""
        parameters = self.parameters
        found = np.zeros((histories.n_users, self.vectors.shape[1]), dtype=np.float32)
        for start in range(0, histories.n_users, _USERS):
            users = np.arange(start, min(start + _USERS, histories.n_users))
            # Filled up to one shape, so that one program is compiled.
            asked = histories.take(np.resize(users, _USERS))
            if parameters.ordered:
                inputs = query_rows(asked, parameters.window, parameters.time_unit)
            else:
                inputs = query_bags(asked)
            inputs["vectors"] = self.vectors[inputs.pop("items"), : parameters.dimension]
            queries = self._tower.ask(**{name: tf.convert_to_tensor(each) for name, each in inputs.items()})
            found[users] = queries.numpy()[: len(users)]
        return found
