"""Starting from an earlier model's weights, with a catalogue that may have grown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.models.two_tower.network import Network
from tastemaker.models.two_tower.saved import Saved

__all__ = ["Earlier", "named_weights", "take_over"]

_PER_ITEM = ("ids", "bias")
_PER_TYPE = ("kinds", "kind")


@dataclass(frozen=True)
class Earlier:
    """An earlier model's weights.

    Attributes:
        weights: by name.
        rows: int64 ``[n_items]`` of the new catalogue: the item's row in the earlier one, -1 for a new item.
        types: likewise of the event types.
        until: time of the newest interaction that it learned from; None without times.
    """

    weights: dict[str, npt.NDArray[np.float32]]
    rows: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]
    until: float | None

    @classmethod
    def of(cls, saved: Saved, train: Histories, vocabulary: Sequence[str] | None) -> "Earlier":
        """Match catalogues and event types.

        Args:
            saved: the earlier model.
            train: what the new one learns from.
            vocabulary: ids of the new items in their order; where either model has none, the new catalogue is the
                earlier one with items appended.
        """
        types = _matched(saved.type_names, train.type_names)
        if saved.vocabulary is None or vocabulary is None:
            rows = np.arange(train.n_items)
            return cls(saved.weights(), np.where(rows < len(saved.vectors), rows, -1), types, saved.until)
        return cls(saved.weights(), _matched(saved.vocabulary, vocabulary), types, saved.until)


def _matched(earlier: Sequence[str], present: Sequence[str]) -> npt.NDArray[np.int64]:
    place = {name: row for row, name in enumerate(earlier)}
    return np.array([place.get(name, -1) for name in present], dtype=np.int64)


def named_weights(network: Network) -> dict[str, npt.NDArray[np.float32]]:
    """Weights by names that stay the same from model to model."""
    return {variable.name: variable.numpy() for variable in network.trainable_variables}


def take_over(network: Network, earlier: Earlier) -> None:
    """Put earlier weights in place wherever name and shape agree; new items and types keep what they start from."""
    for variable in network.trainable_variables:
        values = earlier.weights.get(variable.name)
        if values is None:
            continue
        name = variable.name.split(":", maxsplit=1)[0]
        rows = earlier.rows if name in _PER_ITEM else earlier.types if name in _PER_TYPE else None
        if rows is None:
            if values.shape == tuple(variable.shape):
                variable.assign(values)
        elif len(rows) and values.shape[1:] == tuple(variable.shape)[1:]:
            present = variable.numpy()
            present[rows >= 0] = values[rows[rows >= 0]]
            variable.assign(present)
