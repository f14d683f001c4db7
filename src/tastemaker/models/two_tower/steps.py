"""Training steps: compiled, with Adam and a moving average of the weights, on one device or on several."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.network import Network

tf = tensorflow()
keras = tf.keras

__all__ = ["Batch", "Stepper"]

Batch = dict[str, npt.NDArray[np.generic]]
_RISE = 100  # steps until the full learning rate


class Stepper:
    """Takes training steps on a network.

    Args:
        network: made within the strategy's scope, with its weights.
        seed: of all noise.
        strategy: of ``tf.distribute``; None computes in this process alone, which is compiled best.
    """

    def __init__(self, network: Network, seed: int, strategy: Any = None) -> None:
        self.network, self.seed, self.strategy = network, seed, strategy
        self.replicas = 1 if strategy is None else strategy.num_replicas_in_sync
        self.variables = network.trainable_variables
        parameters = network.parameters
        with tf.distribute.get_strategy().scope() if strategy is None else strategy.scope():
            self.taken = self._beside(tf.constant(0, tf.int64))
            decay = parameters.weight_decay or None
            self.optimizer = keras.optimizers.Adam(0.0, beta_2=0.98, weight_decay=decay, jit_compile=False)
            self.optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
            self.optimizer.build(self.variables)
            self.shadow = [self._beside(variable.read_value()) for variable in self.variables]
        # One compiled program per shape; XLA fuses the softmax over the catalogue, which is most of the work.
        # Collective operations between replicas do not compile.
        self._one = tf.function(self._step, jit_compile=parameters.compiled, autograph=False)
        self._many = tf.function(self._on_replicas, autograph=False)

    @staticmethod
    def _beside(value: Any) -> Any:
        """A variable beside the training: all replicas compute the same, the first one's word counts."""
        return tf.Variable(value, trainable=False, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

    def step(self, batches: list[Batch], number: int) -> Any:
        """Take one step.

        Args:
            batches: one per replica; see :meth:`~tastemaker.models.two_tower.network.Network.compute_loss`.
            number: of the step; with the seed it decides all noise.

        Returns:
            The loss, a float32 scalar tensor.
        """
        if self.strategy is None:
            return self._one(self._inputs(batches[0], number, 0))

        def mine(context: Any) -> dict[str, Any]:
            replica = context.replica_id_in_sync_group
            return self._inputs(batches[replica], number, replica)

        return self._many(self.strategy.experimental_distribute_values_from_function(mine))

    def agree(self, stop: bool) -> bool:
        """Whether any worker wants to stop: clocks differ, and a worker that stops alone would leave others waiting."""
        if self.strategy is None or self.replicas == 1:
            return stop
        wish = tf.constant(float(stop))
        worst = self.strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("sum", wish))
        return float(self.strategy.experimental_local_results(worst)[0]) > 0

    def _inputs(self, batch: Batch, number: int, replica: int) -> dict[str, Any]:
        inputs = {name: tf.convert_to_tensor(values) for name, values in batch.items()}
        return inputs | {"seed": tf.constant([(self.seed + 1_000_003 * replica) % 2**31, number], tf.int32)}

    def _on_replicas(self, inputs: dict[str, Any]) -> Any:
        losses = self.strategy.run(self._step, args=(inputs,))
        return self.strategy.reduce("mean", losses, axis=None)

    def _step(self, inputs: dict[str, Any]) -> Any:
        with tf.GradientTape() as tape:
            loss = self.network.compute_loss(inputs, training=True)
            shared = loss / self.replicas  # the optimizer adds up over replicas
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(shared, self.variables)]
        parameters, done = self.network.parameters, tf.cast(self.taken, tf.float32)
        self.optimizer.learning_rate.assign(parameters.learning_rate * tf.minimum(1.0, (done + 1.0) / _RISE))
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        # The average starts as the weights themselves, so that the first steps do not weigh on it.
        keep = tf.minimum(parameters.average, (1.0 + done) / (10.0 + done))
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

    def restart_average(self) -> None:
        """Let the average start from the present weights."""
        for shadow, variable in zip(self.shadow, self.variables, strict=True):
            shadow.assign(variable.read_value())

    def average(self) -> list[npt.NDArray[np.float32]]:
        """Put the averaged weights in place; the present ones are returned."""
        held = self.weights()
        self.restore([variable.numpy() for variable in self.shadow])
        return held
