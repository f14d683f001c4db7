"""A gated recurrent unit over a history."""

from typing import Any

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.noise import Noise
from tastemaker.models.two_tower.parameters import TowerParameters

tf = tensorflow()
keras = tf.keras

__all__ = ["Gru"]


class Gru(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """One recurrent layer that forgets everything where a new history begins (GRU4Rec, Hidasi et al., ICLR 2016).

    Args:
        parameters: see there.
    """

    def __init__(self, parameters: TowerParameters) -> None:
        super().__init__(name="gru")
        self.parameters = parameters
        size = parameters.dimension
        self.enter = keras.layers.Dense(3 * size, name="enter")
        self.gates = self.add_weight("gates", (size, 2 * size), initializer="orthogonal")
        self.state = self.add_weight("state", (size, size), initializer="orthogonal")
        # A query starts as the vector of the newest item.
        self.out = keras.layers.Dense(size, name="out", kernel_initializer="zeros")

    def call(self, vectors: Any, inputs: dict[str, Any], noise: Noise | None = None) -> Any:
        """Queries at all positions; see :class:`~tastemaker.models.two_tower.encoders.transformer.Transformer`.

        Within a basket a position sees those before it alone.
        """
        rate, width = self.parameters.dropout, vectors.shape[1]
        if noise is not None:
            vectors = noise.dropout(vectors, rate)
        segments = inputs["segments"]
        goes_on = tf.cast(segments[:, 1:] == segments[:, :-1], tf.float32)
        goes_on = tf.concat([tf.zeros_like(goes_on[:, :1]), goes_on], axis=1)
        entering = tf.transpose(self.enter(vectors), [1, 0, 2])
        goes_on = tf.transpose(goes_on)[:, :, None]
        states = tf.TensorArray(tf.float32, width, element_shape=vectors[:, 0].shape)

        def step(at: Any, state: Any, states: Any) -> tuple[Any, Any, Any]:
            state = state * goes_on[at]
            update_in, reset_in, new_in = tf.split(entering[at], 3, axis=1)
            update, reset = tf.split(tf.matmul(state, self.gates), 2, axis=1)
            update, reset = tf.sigmoid(update + update_in), tf.sigmoid(reset + reset_in)
            new = tf.tanh(new_in + reset * tf.matmul(state, self.state))
            state = update * state + (1.0 - update) * new
            return at + 1, state, states.write(at, state)

        # A loop rather than its unrolled steps, which take minutes to compile.
        begin = (tf.constant(0), tf.zeros_like(vectors[:, 0]), states)
        _, _, states = tf.while_loop(lambda at, *_: at < width, step, begin, maximum_iterations=width)
        stacked = tf.transpose(states.stack(), [1, 0, 2])
        if noise is not None:
            stacked = noise.dropout(stacked, rate)
        return self.out(stacked) + vectors
