"""One training step: compiled, with Adam and a moving average of the weights."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.network import Network

tf = tensorflow()
keras = tf.keras

__all__ = ["Stepper"]

_RISE = 100  # steps until the full learning rate


class Stepper:
    """Takes training steps on a network.

    Args:
        network: with its weights made.
        seed: of all noise.
    """

    def __init__(self, network: Network, seed: int) -> None:
        parameters = network.parameters
        self.network, self.seed = network, seed
        self.taken = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.optimizer = keras.optimizers.Adam(learning_rate=0.0, beta_2=0.98, jit_compile=False)
        self.variables = network.trainable_variables
        self.optimizer.build(self.variables)
        self.shadow = [tf.Variable(variable, trainable=False) for variable in self.variables]
        self._rate, self._decay, self._average = (
            parameters.learning_rate, parameters.weight_decay, parameters.average,
        )  # fmt: skip
        # One compiled program per shape; XLA fuses the softmax over the catalogue, which is most of the work.
        self._compiled = tf.function(self._step, jit_compile=True, reduce_retracing=False)

    def step(self, batch: dict[str, npt.NDArray[np.generic]], number: int) -> Any:
        """Take one step.

        Args:
            batch: see :meth:`~tastemaker.models.two_tower.network.Network.compute_loss`.
            number: of the step; with the seed it decides all noise.

        Returns:
            The loss, a float32 scalar tensor.
        """
        inputs = {name: tf.convert_to_tensor(values) for name, values in batch.items()}
        inputs["seed"] = tf.constant([self.seed % 2**31, number], tf.int32)
        return self._compiled(inputs)

    def _step(self, inputs: dict[str, Any]) -> Any:
        with tf.GradientTape() as tape:
            loss = self.network.compute_loss(inputs, training=True)
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, self.variables)]
        gradients, _ = tf.clip_by_global_norm(gradients, 5.0)
        done = tf.cast(self.taken, tf.float32)
        rate = self._rate * tf.minimum(1.0, (done + 1.0) / _RISE)
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        if self._decay:
            for variable in self.variables:
                if len(variable.shape) > 1:  # not biases, nor normalisation
                    variable.assign(variable * (1.0 - rate * self._decay))
        # The average starts as the weights themselves, so that the first steps do not weigh on it.
        keep = tf.minimum(self._average, (1.0 + done) / (10.0 + done))
        for shadow, variable in zip(self.shadow, self.variables, strict=True):
            shadow.assign(keep * shadow + (1.0 - keep) * variable)
        self.taken.assign_add(1)
        return loss

    def weights(self) -> list[npt.NDArray[np.float32]]:
        """A copy of the present weights."""
        return [variable.numpy() for variable in self.variables]

    def restore(self, weights: list[npt.NDArray[np.float32]]) -> None:
        """Put weights in place."""
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)

    def average(self) -> list[npt.NDArray[np.float32]]:
        """Put the averaged weights in place; the present ones are returned."""
        held = self.weights()
        self.restore([variable.numpy() for variable in self.shadow])
        return held
