"""Both towers and their loss, as a model of TensorFlow Recommenders."""

from typing import Any

from tastemaker.keras import recommenders, tensorflow
from tastemaker.models.two_tower.content import Content
from tastemaker.models.two_tower.encoders.bag import Bag
from tastemaker.models.two_tower.encoders.gru import Gru
from tastemaker.models.two_tower.encoders.transformer import Transformer
from tastemaker.models.two_tower.encoders.weighted_mean import WeightedMean
from tastemaker.models.two_tower.item_tower import Beginning, ItemTower
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
        beginning: what the item tower starts from; its frequencies also correct sampled losses.
        parameters: see there.
    """

    def __init__(
        self, n_items: int, content: Content | None, beginning: Beginning, parameters: TowerParameters
    ) -> None:
        super().__init__()
        self.n_items, self.parameters = n_items, parameters
        self.scale = 1.0 / parameters.temperature if parameters.normalise else 1.0
        self.items = ItemTower(n_items, content, beginning, parameters)
        self.frequency = tf.constant(beginning.frequency, tf.float32)
        self.start = self.kinds = None
        if parameters.ordered:
            normal = keras.initializers.RandomNormal(stddev=parameters.dimension**-0.5)
            self.start = self.add_weight("start", (1, parameters.dimension), initializer=normal)
            self.encoder = _SEQUENCE_ENCODERS[parameters.encoder](parameters)
            if parameters.n_types > 1:
                self.kinds = self.add_weight("kinds", (parameters.n_types, parameters.dimension), initializer="zeros")
        else:
            self.encoder = Bag(parameters)

    def search_vectors(self) -> Any:
        """float32 ``[n_items, width]``: what finished queries are multiplied with; see :meth:`queries`."""
        return self.items.searched(self.items.catalogue())

    def queries(self, events: Any, inputs: dict[str, Any], users: Any = None, noise: Noise | None = None) -> Any:
        """Query vectors, scaled so that their products with :meth:`search_vectors` are logits.

        Args:
            events: vectors of the items of the events, ``[rows, window, dimension]``, or ``[events, dimension]`` of
                bags.
            inputs: packed rows, or bags when there is no order; their items are not looked at.
            users: of the bags.
            noise: of a training step.

        Returns:
            float32 ``[rows * window, width]``, or ``[users, width]`` of bags; ``width`` is the dimension, and one more
            with a bias.
        """
        if self.parameters.ordered:
            encoded = self.encoder(self._entering(events, inputs), inputs, noise)
            encoded = tf.reshape(encoded, [-1, self.parameters.dimension])
        else:
            encoded = self.encoder(events, inputs, users, noise)
        return self._finished(encoded)

    def newest_queries(self, events: Any, inputs: dict[str, Any], at: Any) -> Any:
        """As :meth:`queries`, at one position of each row: float32 ``[rows, width]``.

        Args:
            events: likewise.
            inputs: likewise; one history in each row.
            at: int32 ``[rows]``, the newest event's position.
        """
        entering = self._entering(events, inputs)
        if isinstance(self.encoder, WeightedMean):
            return self._finished(self.encoder.newest(entering, inputs, at))
        return self._finished(tf.gather(self.encoder(entering, inputs), at, batch_dims=1))

    def _entering(self, events: Any, inputs: dict[str, Any]) -> Any:
        if self.parameters.normalise:
            events *= self.parameters.dimension**0.5
        return events if self.kinds is None else events + tf.gather(self.kinds, inputs["types"])

    def _finished(self, encoded: Any) -> Any:
        found = self.items.finish(encoded) * self.scale
        return found if self.items.bias is None else tf.concat([found, tf.ones_like(found[:, :1])], axis=1)

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
        vectors = self.items.catalogue(noise)
        searched = self.items.searched(vectors)
        if self.parameters.ordered:
            events = tf.gather(tf.concat([vectors, self.start], axis=0), inputs["items"])
            queries = self.queries(events, inputs, noise=noise)
            targets, weights = tf.reshape(inputs["targets"], [-1]), tf.reshape(inputs["weights"], [-1])
            each = self._softmax(queries, searched, targets, Noise(inputs["seed"] + 1))
        else:
            events = tf.gather(vectors, inputs["items"])
            queries = self.queries(events, inputs, self.parameters.batch, noise)
            rows, targets, weights = inputs["target_rows"], inputs["targets"], inputs["target_weights"]
            # Not taken from the matrix of all logits: the gradient of that would be a matrix of its own.
            found = tf.reduce_sum(tf.gather(queries, rows) * tf.gather(searched, targets), axis=1)
            each = tf.gather(log_partition(queries, searched), rows) - found
        return tf.reduce_sum(each * weights) / tf.maximum(tf.reduce_sum(weights), 1e-9)

    def _softmax(self, queries: Any, vectors: Any, targets: Any, noise: Noise) -> Any:
        if self.parameters.loss == "full":
            return full_softmax(queries, vectors, targets)
        drawn = noise.integers((self.parameters.negatives,), self.n_items)
        ids = tf.concat([drawn, targets], axis=0)
        expected = self.parameters.negatives / self.n_items
        expected += tf.cast(tf.size(targets), tf.float32) * tf.gather(self.frequency, ids)
        chosen = tf.gather(vectors, ids)
        positives = chosen[self.parameters.negatives :]
        return sampled_softmax(
            queries, targets, positives, negatives=chosen, ids=ids, log_expected=tf.math.log(expected)
        )
