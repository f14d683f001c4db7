"""Weighted means of a history without an order."""

from typing import Any

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.noise import Noise
from tastemaker.models.two_tower.parameters import TowerParameters

tf = tensorflow()
keras = tf.keras

__all__ = ["Bag"]


class Bag(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Several means with a gate per item and kind, shrunk towards a vector of nobody, and a small network on them.

    Takes histories of any length: nothing is cut away.

    Args:
        parameters: see there.
    """

    def __init__(self, parameters: TowerParameters) -> None:
        super().__init__(name="bag")
        self.parameters = parameters
        size, heads = parameters.dimension, parameters.heads
        self.gate = keras.layers.Dense(heads, name="gate", kernel_initializer="zeros")
        self.kind = self.add_weight("kind", (max(parameters.n_types, 1), heads), initializer="zeros")
        self.nobody = self.add_weight("nobody", (1, heads, size), initializer=keras.initializers.RandomNormal(0.0, 0.1))
        self.hidden = keras.layers.Dense(2 * size, activation="tanh", name="hidden")
        self.out = keras.layers.Dense(size, name="out", kernel_initializer="zeros")
        self.skip = self.add_weight("skip", (heads,), initializer=keras.initializers.Constant(1.0 / heads))

    def call(self, vectors: Any, inputs: dict[str, Any], users: Any, noise: Noise | None = None) -> Any:
        """Queries of users.

        Args:
            vectors: float32 ``[shown, dimension]`` of the items of the histories.
            inputs: ``types``, ``rows`` int32 and ``weights`` float32 ``[shown]``.
            users: how many.
            noise: of a training step.

        Returns:
            float32 ``[users, dimension]``.
        """
        heads, size = self.parameters.heads, self.parameters.dimension
        strength = tf.exp(self.gate(vectors) + tf.gather(self.kind, inputs["types"])) * inputs["weights"][:, None]
        weighted = tf.reshape(strength[:, :, None] * vectors[:, None, :], [-1, heads * size])
        both = tf.concat([weighted, strength], axis=1)
        summed = tf.math.unsorted_segment_sum(both, inputs["rows"], users)
        pooled = tf.reshape(summed[:, : heads * size], [-1, heads, size]) + self.nobody
        pooled /= summed[:, heads * size :, None] + 1.0
        flat = tf.reshape(pooled, [users, heads * size])
        if noise is not None:
            flat = noise.dropout(flat, self.parameters.dropout)
        return self.out(self.hidden(flat)) + tf.einsum("npd,p->nd", pooled, self.skip)
