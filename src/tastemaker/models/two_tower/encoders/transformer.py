"""Self-attention over a history."""

from typing import Any

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.encoders.visible import bias, visible
from tastemaker.models.two_tower.noise import Noise
from tastemaker.models.two_tower.parameters import TowerParameters

tf = tensorflow()
keras = tf.keras

__all__ = ["Transformer"]


class Transformer(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Causal self-attention, trained at all positions at once (SASRec, Kang and McAuley, ICDM 2018).

    Layers are pre-normalised, and gates decide what each adds (LiGR, Borisyuk et al., 2025; eSASRec, RecSys 2025).

    Args:
        parameters: see there.
    """

    def __init__(self, parameters: TowerParameters) -> None:
        super().__init__(name="transformer")
        self.parameters = parameters
        size, heads = parameters.dimension, parameters.heads
        self.distance, self.time = [], []
        # Every layer adds nothing at first: a query starts as the vector of the newest item.
        nothing = {"kernel_initializer": "zeros"}
        self.layers = []
        for at in range(parameters.layers):
            if parameters.ordered:
                self.distance.append(self.add_weight(f"distance_{at}", (heads, parameters.window), initializer="zeros"))
            if parameters.time_unit > 0:
                self.time.append(self.add_weight(f"time_{at}", (heads,), initializer=keras.initializers.Constant(-3.0)))
            self.layers.append(
                {
                    "attend": keras.layers.Dense(4 * size, name=f"attend_{at}"),
                    "join": keras.layers.Dense(size, name=f"join_{at}", **nothing),
                    "wide": keras.layers.Dense(4 * size, name=f"wide_{at}"),
                    "narrow": keras.layers.Dense(size, name=f"narrow_{at}", **nothing),
                    "first": keras.layers.LayerNormalization(epsilon=1e-6, name=f"first_{at}"),
                    "second": keras.layers.LayerNormalization(epsilon=1e-6, name=f"second_{at}"),
                }
            )
        self.last = keras.layers.LayerNormalization(epsilon=1e-6, name="last")

    def call(self, vectors: Any, inputs: dict[str, Any], noise: Noise | None = None) -> Any:
        """Queries at all positions.

        Args:
            vectors: float32 ``[rows, window, dimension]`` of the events.
            inputs: ``segments``, ``groups`` int32 and ``times`` float32 ``[rows, window]``.
            noise: of a training step.

        Returns:
            float32 ``[rows, window, dimension]``.
        """
        rate, heads = self.parameters.dropout, self.parameters.heads
        size, width = self.parameters.dimension, vectors.shape[1]
        rows = vectors.shape[0] or -1  # known in training, where dropout needs it
        seen = tf.where(visible(inputs)[:, None], 0.0, -1e9)
        state = vectors if noise is None else noise.dropout(vectors, rate)
        for at, layer in enumerate(self.layers):
            before = layer["first"](state)
            parts = tf.split(layer["attend"](before), 4, axis=2)
            query, key, value = (
                tf.transpose(tf.reshape(part, [rows, width, heads, size // heads]), [0, 2, 1, 3]) for part in parts[:3]
            )
            logits = tf.matmul(query, key, transpose_b=True) * (size // heads) ** -0.5 + seen
            logits += bias(
                self.distance[at] if self.distance else None,
                self.time[at] if self.time else None,
                inputs["times"],
                heads,
            )
            weights = tf.nn.softmax(logits)
            if noise is not None:
                weights = noise.dropout(weights, rate)
            joined = tf.reshape(tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3]), [rows, width, size])
            added = layer["join"](joined * tf.sigmoid(parts[3]))
            state += added if noise is None else noise.dropout(added, rate)
            gate, up = tf.split(layer["wide"](layer["second"](state)), 2, axis=2)
            added = layer["narrow"](tf.nn.silu(gate) * up)
            state += added if noise is None else noise.dropout(added, rate)
        return self.last(state)
