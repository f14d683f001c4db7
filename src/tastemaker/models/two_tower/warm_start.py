"""Starting from an earlier model's weights, with a catalogue that may have grown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.models.two_tower.network import Network

__all__ = ["Earlier", "named_weights", "take_over"]

_PER_ITEM = ("ids", "bias")


@dataclass(frozen=True)
class Earlier:
    """An earlier model's weights.

    Attributes:
        weights: by name.
        rows: int64 ``[n_items]`` of the new catalogue: the item's row in the earlier one, -1 for a new item.
    """

    weights: dict[str, npt.NDArray[np.float32]]
    rows: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        weights: dict[str, npt.NDArray[np.float32]],
        n_items: int,
        earlier: Sequence[str] | None,
        present: Sequence[str] | None,
    ) -> "Earlier":
        """Match catalogues.

        Args:
            weights: by name.
            n_items: size of the new catalogue.
            earlier: the ids of the earlier items in their order.
            present: likewise of the new ones; without both, the new catalogue is the earlier one with items appended.
        """
        known = len(next(values for name, values in weights.items() if _item_weight(name)))
        if earlier is None or present is None:
            rows = np.arange(n_items)
            return cls(weights, np.where(rows < known, rows, -1))
        place = {item: row for row, item in enumerate(earlier)}
        return cls(weights, np.array([place.get(item, -1) for item in present], dtype=np.int64))


def named_weights(network: Network) -> dict[str, npt.NDArray[np.float32]]:
    """Weights by names that stay the same from model to model."""
    return {variable.name: variable.numpy() for variable in network.trainable_variables}


def take_over(network: Network, earlier: Earlier) -> None:
    """Put earlier weights in place wherever name and shape agree; new items keep what they start from."""
    for variable in network.trainable_variables:
        values = earlier.weights.get(variable.name)
        if values is None:
            continue
        if _item_weight(variable.name):
            present = variable.numpy()
            if values.shape[1:] == present.shape[1:]:
                kept = earlier.rows >= 0
                present[kept] = values[earlier.rows[kept]]
                variable.assign(present)
        elif values.shape == tuple(variable.shape):
            variable.assign(values)


def _item_weight(name: str) -> bool:
    return name.split(":", maxsplit=1)[0] in _PER_ITEM
