"""Scores of a trained network."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.keras import tensorflow
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import Scores
from tastemaker.models.two_tower.bags import query_bags
from tastemaker.models.two_tower.network import Network
from tastemaker.models.two_tower.sequences import query_rows

tf = tensorflow()

__all__ = ["Scorer"]

_USERS = 256


class Scorer:
    """Answers histories with the vectors that a network has now.

    Args:
        network: trained, or in training: :meth:`refresh` takes over its present weights.
    """

    name = "two-tower"

    def __init__(self, network: Network) -> None:
        self.network = network
        self._ordered = tf.function(self._query_rows)
        self._bags = tf.function(self._query_bags)
        self.refresh()

    def refresh(self) -> None:
        """Compute the items' vectors anew."""
        self.vectors: npt.NDArray[np.float32] = self.network.item_vectors().numpy()

    def score(self, histories: Histories) -> Scores:
        """float32 ``[users, items]``.

        Raises:
            DataError: the histories are of another catalogue.
        """
        if histories.n_items != self.network.n_items:
            raise DataError(
                f"histories are coded for {histories.n_items} items, the model was fitted on {self.network.n_items}"
            )
        return np.asarray(self.queries(histories) @ self.vectors.T, dtype=np.float32)

    def queries(self, histories: Histories) -> npt.NDArray[np.float32]:
        """float32 ``[users, dimension]``."""
        parameters = self.network.parameters
        found = np.zeros((histories.n_users, parameters.dimension), dtype=np.float32)
        for start in range(0, histories.n_users, _USERS):
            users = np.arange(start, min(start + _USERS, histories.n_users))
            # Filled up to one shape, so that one program is compiled.
            asked = histories.take(np.resize(users, _USERS))
            if parameters.ordered:
                rows = query_rows(asked, parameters.window, parameters.time_unit)
                queries = self._ordered({name: tf.convert_to_tensor(values) for name, values in rows.items()})
            else:
                shown = query_bags(asked)
                queries = self._bags({name: tf.convert_to_tensor(values) for name, values in shown.items()})
            found[users] = queries.numpy()[: len(users)]
        return found

    def _query_rows(self, inputs: dict[str, Any]) -> Any:
        at = tf.range(self.network.parameters.window)[None, :]
        after = at > inputs["lengths"][:, None]
        packed = {
            "items": inputs["items"], "types": inputs["types"], "times": inputs["times"],
            "segments": tf.where(after, -1, 0), "groups": tf.zeros_like(inputs["items"]) + at,
        }  # fmt: skip
        queries = self.network.queries(self.network.item_vectors(), packed)
        return tf.gather(queries, inputs["lengths"], axis=1, batch_dims=1)

    def _query_bags(self, inputs: dict[str, Any]) -> Any:
        return self.network.queries(self.network.item_vectors(), inputs, _USERS)
