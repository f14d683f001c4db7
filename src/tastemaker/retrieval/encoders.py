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
_QUERY_VARIABLES = ("type_weights", "decays", "skip", "variables/0", "variables/1", "variables/2", "variables/3")
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
    """The query tower, in plain numpy: for one history, TensorFlow's hand-over costs ten times the arithmetic.

    The sums are those of :class:`tastemaker.training.two_tower.QueryTower`, whose variables it reads.

    Args:
        path: its SavedModel.
        history: events that it sees.

    Raises:
        ServingError: there is none, or it has other variables.
    """

    def __init__(self, path: Path, history: int) -> None:
        self._n = history
        if not (path / "saved_model.pb").is_file():
            raise ServingError(f"{path} is no exported model; train the release again")
        saved = tensorflow().train.load_checkpoint(str(path / "variables" / "variables"))
        try:
            self._types, self._decays, self._skip, *self._layers = (
                np.asarray(saved.get_tensor(f"tower/{name}/.ATTRIBUTES/VARIABLE_VALUE"), dtype=np.float32)
                for name in _QUERY_VARIABLES
            )
        except Exception as error:  # TensorFlow has an error of its own for each way in which a file is wrong
            raise ServingError(
                f"{path} is no query tower of this version ({error}); train the release again"
            ) from error

    def __call__(
        self, histories: Sequence[History], now_us: int, vectors: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Unit vectors, float32 ``[n, dimension]``; zeros for an empty history.

        Args:
            histories: of ``n`` shoppers.
            now_us: the moment that ages count to, in microseconds.
            vectors: float32 ``[rows, dimension]``, of the catalogue.
        """
        found = np.zeros((len(histories), vectors.shape[1]), dtype=np.float32)
        for place, history in enumerate(histories):
            if len(history[0]):
                found[place] = self._encode(history, now_us, vectors)
        return found

    def _encode(self, history: History, now_us: int, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        rows, types, times = (column[: self._n] for column in history)
        ages = ((now_us - times) / _DAY_US).astype(np.float32)
        log_age = np.log1p(np.maximum(ages, np.float32(0.0)))
        weights = self._types[types] * np.exp(-self._decays[:, None] * log_age)  # [2, history]
        weights /= weights.sum(axis=1, keepdims=True) + np.float32(1e-6)
        pooled = weights @ vectors[rows]  # [2, dimension]
        size = pooled.size
        inputs = np.empty(size + 2, dtype=np.float32)
        inputs[:size] = pooled.ravel()
        inputs[size] = log_age[0] / 4.0
        inputs[size + 1] = np.log1p(np.float32(len(rows))) / 4.0
        hidden_kernel, hidden_bias, out_kernel, out_bias = self._layers
        deep = np.maximum(inputs @ hidden_kernel + hidden_bias, np.float32(0.0)) @ out_kernel + out_bias
        query = deep + self._skip @ pooled
        return np.asarray(query / np.sqrt(max(float(query @ query), 1e-9)), dtype=np.float32)
