"""The item tower: a vector from an item's content, and what its id adds to it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.content import CATEGORY_BUCKETS, TOKEN_BUCKETS, Content
from tastemaker.models.two_tower.noise import Noise
from tastemaker.models.two_tower.parameters import TowerParameters

tf = tensorflow()
keras = tf.keras

__all__ = ["Beginning", "ItemTower"]


@dataclass(frozen=True)
class Beginning:
    """What an item tower starts from.

    Attributes:
        frequency: float64 ``[n_items]``, share of the interactions that is each item's.
        vectors: float32 ``[n_items, dimension]`` of unit length; None starts at random.
    """

    frequency: npt.NDArray[np.floating]
    vectors: npt.NDArray[np.float32] | None = None


class ItemTower(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Vectors of all items of a catalogue.

    Training hides ids at random where there is content, so that content alone gives a useful vector to an item that
    training never saw (DropoutNet, Volkovs et al., NIPS 2017).

    Args:
        n_items: size of the catalogue.
        content: of every item; None when only ids are known.
        beginning: what the weights start from.
        parameters: see there.
    """

    def __init__(
        self, n_items: int, content: Content | None, beginning: Beginning, parameters: TowerParameters
    ) -> None:
        super().__init__(name="items")
        size = parameters.dimension
        self.n_items, self.id_dropout, self.normalise = n_items, parameters.id_dropout, parameters.normalise
        # Small beside the content, so that an id adds to it rather than drowns it.
        spread = 0.02 if content is not None or not parameters.normalise else size**-0.5
        start = _normal(spread) if beginning.vectors is None else _given(beginning.vectors)
        self.ids = self.add_weight("ids", (n_items, size), initializer=start)
        self.bias = None
        if parameters.bias:
            popularity = np.log(np.maximum(beginning.frequency * n_items, 0.1))
            self.bias = self.add_weight("bias", (n_items, 1), initializer=_given(popularity[:, None]))
        self.has_content = content is not None
        if content is not None:
            self.words = self.add_weight("words", (TOKEN_BUCKETS + 1, size), initializer=_normal(0.1))
            self.categories = self.add_weight("categories", (CATEGORY_BUCKETS + 1, size), initializer=_normal(0.1))
            self.numbers = keras.layers.Dense(16, activation="relu", name="numbers")
            self.mix = keras.layers.Dense(size, name="mix")
            self.known = {name: tf.constant(values) for name, values in vars(content).items()}

    def content_vectors(self, known: dict[str, Any]) -> Any:
        """What content says of items.

        Args:
            known: the arrays of :class:`Content`, of any items.

        Returns:
            float32 ``[n, dimension]``, of no particular length.
        """
        parts = [
            _mean(tf.gather(self.words, known["tokens"]), known["tokens"]),
            _mean(tf.gather(self.categories, known["categories"]), known["categories"]),
            self.numbers(known["numbers"]),
        ]
        if known["vector"].shape[1]:
            parts.append(known["vector"])
        return self.mix(tf.concat(parts, axis=1))

    def catalogue(self, noise: Noise | None = None) -> Any:
        """Vectors of the whole catalogue.

        Args:
            noise: of a training step; None outside of training.

        Returns:
            float32 ``[n_items, dimension]``; unit vectors when the parameters ask for them.
        """
        vectors = self.ids
        if self.has_content:
            if noise is not None and self.id_dropout:
                vectors = vectors * tf.cast(noise.uniform((self.n_items, 1)) >= self.id_dropout, tf.float32)
            vectors = self.content_vectors(self.known) + vectors
        return self.finish(vectors)

    def searched(self, vectors: Any) -> Any:
        """Vectors as queries are multiplied with them: the bias is one more column, ``[n_items, width]``."""
        return vectors if self.bias is None else tf.concat([vectors, self.bias], axis=1)

    def finish(self, vectors: Any) -> Any:
        """Bring vectors to the length that scores are made from."""
        return tf.math.l2_normalize(vectors, axis=1, epsilon=1e-9) if self.normalise else vectors


def _normal(spread: float) -> Any:
    return keras.initializers.RandomNormal(stddev=spread)


def _given(values: npt.NDArray[np.floating]) -> Any:
    return keras.initializers.Constant(values)


def _mean(vectors: Any, tokens: Any) -> Any:
    """Mean over the tokens that are not padding: ``[n, t, d]`` and ``[n, t]`` to ``[n, d]``."""
    present = tf.cast(tokens > 0, tf.float32)[:, :, None]
    return tf.reduce_sum(vectors * present, axis=1) / tf.maximum(tf.reduce_sum(present, axis=1), 1.0)
