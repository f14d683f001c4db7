"""Weighted means of a history, by recency, kind and a gate on the item itself."""

from typing import Any

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.encoders.visible import bias, visible
from tastemaker.models.two_tower.noise import Noise
from tastemaker.models.two_tower.parameters import TowerParameters

tf = tensorflow()
keras = tf.keras

__all__ = ["WeightedMean"]


class WeightedMean(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Several means side by side, some of which may look far back and some forget fast, and a small network on them.

    Args:
        parameters: see there.
    """

    def __init__(self, parameters: TowerParameters) -> None:
        super().__init__(name="weighted_mean")
        self.parameters = parameters
        size, heads = parameters.dimension, parameters.heads
        # The poolings start apart: from a plain mean to the newest event alone.
        slopes = keras.initializers.Constant([[-3.0 * at / max(heads - 1, 1)] for at in range(heads)])
        self.slope = self.add_weight("slope", (heads, 1), initializer=slopes)
        self.distance = (
            self.add_weight("distance", (heads, parameters.window), initializer="zeros") if parameters.ordered else None
        )
        self.time = (
            self.add_weight("time", (heads,), initializer=keras.initializers.Constant(-3.0))
            if parameters.time_unit > 0
            else None
        )
        self.gate = keras.layers.Dense(heads, name="gate", kernel_initializer="zeros")
        self.hidden = keras.layers.Dense(2 * size, activation="relu", name="hidden")
        self.out = keras.layers.Dense(size, name="out", kernel_initializer="zeros")  # starts as the means alone
        self.skip = self.add_weight("skip", (heads,), initializer=keras.initializers.Constant(1.0 / heads))

    def call(self, vectors: Any, inputs: dict[str, Any], noise: Noise | None = None) -> Any:
        """Queries at all positions; see :class:`~tastemaker.models.two_tower.encoders.transformer.Transformer`."""
        heads, size, width = self.parameters.heads, self.parameters.dimension, vectors.shape[1]
        by_distance = None
        if self.distance is not None:
            by_distance = self.distance + self.slope * tf.math.log1p(tf.range(self.parameters.window, dtype=tf.float32))
        logits = bias(by_distance, self.time, inputs["times"], heads)
        logits += tf.transpose(self.gate(vectors), [0, 2, 1])[:, :, None, :]
        logits += tf.where(visible(inputs)[:, None], 0.0, -1e9)
        weights = tf.nn.softmax(logits)  # [rows, heads, window, window]
        pooled = tf.matmul(weights, vectors[:, None])  # [rows, heads, window, dimension]
        pooled = tf.transpose(pooled, [0, 2, 1, 3])
        flat = tf.reshape(pooled, [vectors.shape[0] or -1, width, heads * size])
        if noise is not None:
            flat = noise.dropout(flat, self.parameters.dropout)
        return self.out(self.hidden(flat)) + tf.einsum("nlpd,p->nld", pooled, self.skip)
