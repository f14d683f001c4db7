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
        logits = bias(self._by_distance(), self.time, inputs["times"], self.parameters.heads)
        logits += tf.transpose(self.gate(vectors), [0, 2, 1])[:, :, None, :]
        logits += tf.where(visible(inputs)[:, None], 0.0, -1e9)
        weights = tf.nn.softmax(logits)  # [rows, heads, window, window]
        pooled = tf.matmul(weights, vectors[:, None])  # [rows, heads, window, dimension]
        return self._finish(tf.transpose(pooled, [0, 2, 1, 3]), noise)

    def newest(self, vectors: Any, inputs: dict[str, Any], at: Any) -> Any:
        """Queries at one position of each row alone: what :meth:`call` says there, for a fraction of the work.

        Args:
            vectors: as of :meth:`call`.
            inputs: ``times``, as of :meth:`call`.
            at: int32 ``[rows]``, the position; the events up to it are seen, whatever their segments.

        Returns:
            float32 ``[rows, dimension]``.
        """
        place = tf.range(vectors.shape[1])[None, :]
        logits = tf.transpose(self.gate(vectors), [0, 2, 1])  # [rows, heads, window]
        if (by_distance := self._by_distance()) is not None:
            steps = tf.maximum(at[:, None] - place, 0)
            logits += tf.transpose(tf.gather(by_distance, steps, axis=1), [1, 0, 2])
        if self.time is not None:
            times = inputs["times"]
            apart = tf.math.log1p(tf.abs(tf.gather(times, at, batch_dims=1)[:, None] - times))
            logits -= tf.nn.softplus(self.time)[None, :, None] * apart[:, None]
        logits += tf.where(place <= at[:, None], 0.0, -1e9)[:, None]
        pooled = tf.matmul(tf.nn.softmax(logits), vectors)  # [rows, heads, dimension]
        return self._finish(pooled[:, None], None)[:, 0]

    def _by_distance(self) -> Any:
        if self.distance is None:
            return None
        return self.distance + self.slope * tf.math.log1p(tf.range(self.parameters.window, dtype=tf.float32))

    def _finish(self, pooled: Any, noise: Noise | None) -> Any:
        """The means themselves, ``[rows, positions, heads, dimension]``, and what a small network makes of them."""
        rows, positions, heads, size = pooled.shape
        flat = tf.reshape(pooled, [rows or -1, positions, heads * size])
        if noise is not None:
            flat = noise.dropout(flat, self.parameters.dropout)
        return self.out(self.hidden(flat)) + tf.einsum("nlpd,p->nld", pooled, self.skip)
