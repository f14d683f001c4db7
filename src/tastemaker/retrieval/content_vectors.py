"""The item tower in plain numpy, so that serving needs TensorFlow neither to start nor to take in a new item."""

import numpy as np
import numpy.typing as npt

from tastemaker.models.two_tower.content import CATEGORY_BUCKETS, TOKEN_BUCKETS, Content, ContentScale
from tastemaker.models.two_tower.saved import Saved
from tastemaker.retrieval.tower_weights import TowerWeights

__all__ = ["ContentVectors"]

Floats = npt.NDArray[np.float32]
_NUMBERS, _HIDDEN = 4, 16  # what is told of price and age, and the layer over it
_AT_ONCE = 4_096  # items: the words of so many are some 10 MB


class ContentVectors:
    """Vectors of items, as :class:`tastemaker.models.two_tower.asking.ContentTower` gives them.

    Args:
        saved: a model that was trained with content.
        scale: of that content.

    Raises:
        ServingError: weights are missing, or of other shapes than the model's.
    """

    def __init__(self, saved: Saved, scale: ContentScale) -> None:
        parameters, n_items = saved.parameters, len(saved.vectors)
        size = parameters.dimension
        read = TowerWeights(saved)
        self._ids = read("ids", (n_items, size))
        self._words = read("words", (TOKEN_BUCKETS + 1, size))
        self._categories = read("categories", (CATEGORY_BUCKETS + 1, size))
        self._numbers, self._numbers_bias = (
            read("numbers/kernel", (_NUMBERS, _HIDDEN)),
            read("numbers/bias", (_HIDDEN,)),
        )
        self._mix = read("mix/kernel", (2 * size + _HIDDEN + scale.width, size))
        self._mix_bias = read("mix/bias", (size,))
        self._bias = read("bias", (n_items, 1))[:, 0] if parameters.bias else None
        read.close()
        # Nobody knows how popular a new item will be: the middle of the catalogue's biases.
        self._middle = np.float32(0.0) if self._bias is None else np.sort(self._bias)[n_items // 2]
        self._normalise = parameters.normalise

    def __call__(self, rows: npt.NDArray[np.int64], content: Content) -> Floats:
        """Vectors, float32 ``[n, width]``.

        Args:
            rows: int64 ``[n]``, each item's row in the catalogue of training, -1 for an item that was not there.
            content: of the ``n`` items, as it is now.
        """
        slices = [slice(first, first + _AT_ONCE) for first in range(0, len(rows), _AT_ONCE)] or [slice(0, 0)]
        return np.concatenate([self._of(rows[part], content, part) for part in slices])

    def _of(self, rows: npt.NDArray[np.int64], content: Content, part: slice) -> Floats:
        hidden = content.numbers[part] @ self._numbers + self._numbers_bias
        described = [
            _mean(self._words, content.tokens[part]),
            _mean(self._categories, content.categories[part]),
            np.maximum(hidden, 0.0),
            content.vector[part],
        ]
        known, own = rows >= 0, np.maximum(rows, 0)
        vectors = np.concatenate(described, axis=1) @ self._mix + self._mix_bias
        vectors += self._ids[own] * known[:, None]
        if self._normalise:
            vectors /= np.sqrt(np.maximum(np.square(vectors).sum(axis=1, keepdims=True), 1e-9))
        if self._bias is not None:
            vectors = np.concatenate([vectors, np.where(known, self._bias[own], self._middle)[:, None]], axis=1)
        return np.asarray(vectors, dtype=np.float32)


def _mean(vectors: Floats, tokens: npt.NDArray[np.int32]) -> Floats:
    """Mean over the tokens that are not padding: ``[buckets, d]`` and ``[n, t]`` to ``[n, d]``."""
    present = (tokens > 0).astype(np.float32)
    total = np.einsum("ntd,nt->nd", vectors[tokens], present)
    return np.asarray(total / np.maximum(present.sum(axis=1, keepdims=True), 1.0), dtype=np.float32)
