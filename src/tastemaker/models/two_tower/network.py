"""Both towers and their loss, as a model of TensorFlow Recommenders."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.keras import recommenders, tensorflow
from tastemaker.models.two_tower.content import Content
from tastemaker.models.two_tower.encoders.bag import Bag
from tastemaker.models.two_tower.encoders.gru import Gru
from tastemaker.models.two_tower.encoders.transformer import Transformer
from tastemaker.models.two_tower.encoders.weighted_mean import WeightedMean
from tastemaker.models.two_tower.item_tower import ItemTower
from tastemaker.models.two_tower.losses import full_softmax, log_partition, sampled_softmax
from tastemaker.models.two_tower.noise import Noise
from tastemaker.models.two_tower.parameters import TowerParameters

tf = tensorflow()
tfrs = recommenders()
keras = tf.keras

__all__ = ["Network"]

_SEQUENCE_ENCODERS: dict[str, Any] = {"weighted-mean": WeightedMean, "gru": Gru, "transformer": Transformer}


class Network(tfrs.Model):  # type: ignore[misc, name-defined]
    """An item tower, a query tower on its vectors, and the softmax that trains both.

    Args:
        n_items: size of the catalogue.
        content: of the items, or None.
        frequency: float32 ``[n_items]``, share of the training targets that are this item; for sampled losses.
        parameters: see there.
    """

    def __init__(
        self, n_items: int, content: Content | None, frequency: npt.NDArray[np.floating], parameters: TowerParameters
    ) -> None:
        super().__init__()
        self.n_items, self.parameters = n_items, parameters
        self.scale = 1.0 / parameters.temperature if parameters.normalise else 1.0
        self.items = ItemTower(n_items, content, parameters)
        self.frequency = tf.constant(frequency, tf.float32)
        if parameters.ordered:
            normal = keras.initializers.RandomNormal(stddev=parameters.dimension**-0.5)
            self.start = self.add_weight("start", (1, parameters.dimension), initializer=normal)
            self.encoder = _SEQUENCE_ENCODERS[parameters.encoder](parameters)
            self.kinds = None
            if parameters.n_types > 1:
                self.kinds = self.add_weight("kinds", (parameters.n_types, parameters.dimension), initializer="zeros")
        else:
            self.encoder = Bag(parameters)

    def item_vectors(self, noise: Noise | None = None) -> Any:
        """float32 ``[n_items, dimension]``: what queries are multiplied with."""
        return self.items(noise)

    def queries(self, vectors: Any, inputs: dict[str, Any], users: Any = None, noise: Noise | None = None) -> Any:
        """Query vectors.

        Args:
            vectors: of the catalogue.
            inputs: packed rows, or bags when there is no order.
            users: of the bags.
            noise: of a training step.

        Returns:
            float32 ``[rows, window, dimension]``, or ``[users, dimension]`` of bags.
        """
        if self.parameters.ordered:
            events = tf.gather(tf.concat([vectors, self.start], axis=0), inputs["items"])
            if self.parameters.normalise:
                events *= self.parameters.dimension**0.5
            if self.kinds is not None:
                events += tf.gather(self.kinds, inputs["types"])
            queries = self.encoder(events, inputs, noise)
            flat = self.items.finish(tf.reshape(queries, [-1, self.parameters.dimension]))
            return tf.reshape(flat, tf.shape(queries))
        return self.items.finish(self.encoder(tf.gather(vectors, inputs["items"]), inputs, users, noise))

    def compute_loss(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Mean loss of a batch.

        Args:
            inputs: of :func:`~tastemaker.models.two_tower.sequences.batches` or
                :func:`~tastemaker.models.two_tower.bags.bags`, and ``seed`` int32 ``[2]``.
            training: as in Keras.

        Returns:
            float32 scalar.
        """
        noise = Noise(inputs["seed"]) if training else None
        vectors = self.item_vectors(noise)
        if self.parameters.ordered:
            queries = self.queries(vectors, inputs, noise=noise)
            queries = tf.reshape(queries, [-1, self.parameters.dimension])
            targets, weights = tf.reshape(inputs["targets"], [-1]), tf.reshape(inputs["weights"], [-1])
            each = self._softmax(queries, vectors, targets, Noise(inputs["seed"] + 1))
            return tf.reduce_sum(each * weights) / tf.maximum(tf.reduce_sum(weights), 1e-9)
        users = self.parameters.batch
        queries = self.queries(vectors, inputs, users, noise)
        rows, targets, weights = inputs["target_rows"], inputs["targets"], inputs["target_weights"]
        # Not taken from the matrix of all logits: the gradient of that would be a matrix of its own.
        found = tf.reduce_sum(tf.gather(queries, rows) * tf.gather(vectors, targets), axis=1) * self.scale
        total = tf.gather(log_partition(queries, vectors, self.scale), rows)
        return tf.reduce_sum(weights * (total - found)) / tf.maximum(tf.reduce_sum(weights), 1e-9)

    def _softmax(self, queries: Any, vectors: Any, targets: Any, noise: Noise) -> Any:
        if self.parameters.loss == "full":
            return full_softmax(queries, vectors, targets, self.scale)
        drawn = noise.integers((self.parameters.negatives,), self.n_items)
        ids = tf.concat([drawn, targets], axis=0)
        expected = self.parameters.negatives / self.n_items
        expected += tf.cast(tf.size(targets), tf.float32) * tf.gather(self.frequency, ids)
        chosen = tf.gather(vectors, ids)
        positives = chosen[self.parameters.negatives :]
        return sampled_softmax(
            queries, targets, positives, negatives=chosen, ids=ids, log_expected=tf.math.log(expected), scale=self.scale
        )
