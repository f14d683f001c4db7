"""The exported towers: items to vectors, histories to vectors. The same calls in training and in serving."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.errors import ServingError
from tastemaker.events.item import Item
from tastemaker.keras import tensorflow
from tastemaker.retrieval.item_content import ContentParameters, encode_items

__all__ = ["History", "ItemEncoder", "QueryEncoder"]

_DAY_US = 86_400_000_000.0
# rows, event types (indices), times in microseconds; newest first
History = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _load(path: Path) -> Any:
    if not (path / "saved_model.pb").is_file():
        raise ServingError(f"{path} is no exported model; train the release again")
    return tensorflow().saved_model.load(str(path))


class ItemEncoder:
    """The item tower.

    Args:
        path: its SavedModel.
        content: the encoding that it was trained with.
    """

    def __init__(self, path: Path, content: ContentParameters) -> None:
        self._model = _load(path)
        self._content = content

    def __call__(self, items: Sequence[Item], codes: Sequence[int]) -> npt.NDArray[np.float32]:
        """Unit vectors, float32 ``[n, dimension]``.

        Args:
            items: what the catalogue says of them.
            codes: index of each in the tower's id embedding, 0 for an item that training did not know.
        """
        content = encode_items(items, self._content)
        vectors = self._model.encode(
            np.asarray(codes, dtype=np.int32), content.tokens, content.categories, content.log_price, content.has_price
        )
        return np.asarray(vectors.numpy(), dtype=np.float32)


class QueryEncoder:
    """The query tower.

    Args:
        path: its SavedModel.
        history: events that it sees.
    """

    def __init__(self, path: Path, history: int) -> None:
        self._model = _load(path)
        self._n = history

    def __call__(
        self, histories: Sequence[History], now_us: int, vectors: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Unit vectors, float32 ``[n, dimension]``; zeros for an empty history.

        Args:
            histories: of ``n`` shoppers.
            now_us: the moment that ages count to, in microseconds.
            vectors: float32 ``[rows, dimension]``, of the catalogue.
        """
        shape = (len(histories), self._n)
        rows, types = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int32)
        ages, mask = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        for place, (item_rows, kinds, times) in enumerate(histories):
            n = min(len(item_rows), self._n)
            rows[place, :n], types[place, :n], mask[place, :n] = item_rows[:n], kinds[:n], 1.0
            ages[place, :n] = (now_us - times[:n]) / _DAY_US
        encoded = self._model.encode(vectors[rows], types, ages, mask)
        known = mask.any(axis=1, keepdims=True)
        return np.where(known, np.asarray(encoded.numpy()), 0.0).astype(np.float32)
