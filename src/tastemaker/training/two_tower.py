"""The two-tower retrieval model: a query tower over histories, an item tower over id and content.

TensorFlow Recommenders' retrieval task with in-batch negatives, corrected for how often an item is drawn (logQ,
Yi et al., *Sampling-Bias-Corrected Neural Modeling*, RecSys 2019). No user id anywhere: a new shopper is served at
once, and an event changes the next query. An item's vector is its content plus what its id adds; training hides ids
at random, so that content alone gives a useful vector to an item that was not there.
"""

from typing import Any

from tastemaker.keras import recommenders, tensorflow
from tastemaker.release.tower_parameters import TowerParameters

tf = tensorflow()
tfrs = recommenders()
keras = tf.keras

__all__ = ["ItemTower", "QueryTower", "TwoTowerModel"]


class ItemTower(keras.Model):  # type: ignore[misc, name-defined]
    """Vectors of items.

    Args:
        n_items: items with an embedding; index 0 stands for every other item.
        parameters: see there.
    """

    def __init__(self, n_items: int, parameters: TowerParameters) -> None:
        super().__init__()
        size, content = parameters.dimension, parameters.content
        self.id_dropout = parameters.id_dropout
        self.ids = keras.layers.Embedding(n_items + 1, size, embeddings_initializer="zeros")
        self.words = keras.layers.Embedding(content.token_buckets + 1, size)
        self.categories = keras.layers.Embedding(content.category_buckets + 1, size)
        self.price = keras.layers.Dense(8, activation="relu")
        self.mix = keras.layers.Dense(size)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Unit vectors.

        Args:
            inputs: ``id`` int32 ``[n]``, ``tokens`` int32 ``[n, t]``, ``categories`` int32 ``[n, c]``,
                ``log_price`` and ``has_price`` float32 ``[n]``.
            training: hide ids at random.

        Returns:
            float32 ``[n, dimension]``.
        """
        price = tf.stack([inputs["log_price"], inputs["has_price"]], axis=1)
        content = self.mix(
            tf.concat(
                [
                    _mean(self.words(inputs["tokens"]), inputs["tokens"]),
                    _mean(self.categories(inputs["categories"]), inputs["categories"]),
                    self.price(price),
                ],
                axis=1,
            )
        )
        shown = tf.cast(inputs["id"] > 0, tf.float32)
        if training:
            shown *= tf.cast(tf.random.uniform(tf.shape(shown)) >= self.id_dropout, tf.float32)
        return tf.math.l2_normalize(content + shown[:, None] * self.ids(inputs["id"]), axis=1)


def _mean(vectors: Any, tokens: Any) -> Any:
    """Mean over the tokens that are not padding: ``[n, t, d]`` and ``[n, t]`` to ``[n, d]``."""
    present = tf.cast(tokens > 0, tf.float32)[:, :, None]
    return tf.reduce_sum(vectors * present, axis=1) / tf.maximum(tf.reduce_sum(present, axis=1), 1.0)


class QueryTower(keras.Model):  # type: ignore[misc, name-defined]
    """Vectors of shoppers: what they did, weighted by kind and recency.

    Args:
        type_weights: initial weight of an event by its type's index; learned from there for types that occur.
        parameters: see there.
    """

    def __init__(self, type_weights: list[float], parameters: TowerParameters) -> None:
        super().__init__()
        size = parameters.dimension
        self.history_dropout = parameters.history_dropout
        self.type_weights = self.add_weight(
            name="type_weights",
            shape=(len(type_weights),),
            initializer=keras.initializers.Constant(type_weights),
            constraint=keras.constraints.NonNeg(),
        )
        # Two poolings: one that looks far back, one that forgets fast. Weight of an event: (1 + days) ** -decay.
        self.decays = self.add_weight(
            name="decays", shape=(2,), initializer=keras.initializers.Constant([0.3, 1.2]),
            constraint=keras.constraints.NonNeg(),
        )  # fmt: skip
        self.hidden = keras.layers.Dense(2 * size, activation="relu")
        self.out = keras.layers.Dense(size)
        self.skip = self.add_weight(name="skip", shape=(2,), initializer=keras.initializers.Constant([0.5, 0.5]))

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Unit vectors.

        Args:
            inputs: ``vectors`` float32 ``[n, history, dimension]`` of the items of the history, ``types`` int32
                ``[n, history]``, ``age_days`` float32 ``[n, history]``, ``mask`` float32 ``[n, history]``; newest
                events first.
            training: hide events at random.

        Returns:
            float32 ``[n, dimension]``.
        """
        mask = inputs["mask"]
        if training:
            mask *= tf.cast(tf.random.uniform(tf.shape(mask)) >= self.history_dropout, tf.float32)
        strength = mask * tf.gather(self.type_weights, inputs["types"])
        log_age = tf.math.log1p(tf.maximum(inputs["age_days"], 0.0))
        weights = strength[:, None, :] * tf.exp(-self.decays[None, :, None] * log_age[:, None, :])
        weights /= tf.reduce_sum(weights, axis=2, keepdims=True) + 1e-6
        pooled = tf.matmul(weights, inputs["vectors"])  # [n, 2, dimension]
        flat = tf.reshape(pooled, [-1, pooled.shape[1] * pooled.shape[2]])
        # How long ago the newest event was, and how many there are: scaled to about 1.
        context = tf.stack([log_age[:, 0], tf.math.log1p(tf.reduce_sum(inputs["mask"], axis=1))], axis=1) / 4.0
        deep = self.out(self.hidden(tf.concat([flat, context], axis=1)))
        return tf.math.l2_normalize(deep + tf.einsum("npd,p->nd", pooled, self.skip), axis=1, epsilon=1e-9)


class TwoTowerModel(tfrs.Model):  # type: ignore[misc, name-defined]
    """Both towers and their retrieval task.

    Args:
        items: the item tower.
        query: the query tower.
        content: the item tower's inputs for the whole catalogue, as constants; row ``i`` is item ``i``.
        sampling_probability: float32 ``[n_items]``, the chance that a pair's item is this one.
        parameters: see there.
    """

    def __init__(
        self,
        items: ItemTower,
        query: QueryTower,
        content: dict[str, Any],
        sampling_probability: Any,
        parameters: TowerParameters,
    ) -> None:
        super().__init__()
        self.items, self.query = items, query
        self.content = {name: tf.constant(values) for name, values in content.items()}
        self.sampling_probability = tf.constant(sampling_probability)
        self.task = tfrs.tasks.Retrieval(
            # The mean, so that the learning rate does not depend on the batch.
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            loss_metrics=[keras.metrics.Mean(name="mean_loss")],
            temperature=parameters.temperature,
            remove_accidental_hits=True,
        )

    def compute_loss(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Loss of a batch of baskets.

        Args:
            inputs: ``items`` int32 ``[n, history]`` (rows, -1 as padding), ``types``, ``age_days`` ``[n, history]``;
                ``basket`` int32 ``[pairs]`` (row of the batch) and ``item`` int32 ``[pairs]``.
            training: as in Keras.
        """
        history, positives = inputs["items"], inputs["item"]
        flat = tf.concat([tf.reshape(tf.maximum(history, 0), [-1]), positives], axis=0)
        rows, where = tf.unique(flat)
        vectors = self.items({name: tf.gather(values, rows) for name, values in self.content.items()}, training)
        n_history = tf.size(history)
        query = self.query(
            {
                "vectors": tf.reshape(
                    tf.gather(vectors, where[:n_history]), [tf.shape(history)[0], history.shape[1], vectors.shape[1]]
                ),
                "types": inputs["types"],
                "age_days": inputs["age_days"],
                "mask": tf.cast(history >= 0, tf.float32),
            },
            training,
        )
        return self.task(
            tf.gather(query, inputs["basket"]),
            tf.gather(vectors, where[n_history:]),
            candidate_sampling_probability=tf.gather(self.sampling_probability, positives),
            candidate_ids=positives,
            compute_metrics=False,
        )
