"""Parts of the network: gated experts, the product of two vectors, the bias of a position."""

from typing import Any

from tastemaker.keras import tensorflow

tf = tensorflow()
keras = tf.keras

__all__ = ["GatedExperts", "PositionTower", "VectorProduct", "deep_layers"]


def deep_layers(hidden: tuple[int, ...], dropout: float) -> Any:
    """Dense layers with ReLU, dropout after each: float32 ``[n, in]`` to ``[n, hidden[-1]]``."""
    layers: list[Any] = []
    for width in hidden:
        layers += [keras.layers.Dense(width, activation="relu"), keras.layers.Dropout(dropout)]
    return keras.Sequential(layers)


# A step of Adam is as long for a bias as for any weight, and biases have further to go: the last place of a list may
# be seen a hundred times less than the first. They must not lag behind features that the places went by.
_GAIN = 10.0


class GatedExperts(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """Several networks, mixed for each outcome by a softmax gate of its own; MMoE, Ma et al., KDD 2018.

    Args:
        experts: how many networks.
        outcomes: how many gates.
        hidden: widths of each network's layers.
        dropout: after each.
    """

    def __init__(self, experts: int, outcomes: int, hidden: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.networks = [deep_layers(hidden, dropout) for _ in range(experts)]
        self.gates = keras.layers.Dense(outcomes * experts)
        self.shape_of_gates = (-1, outcomes, experts)

    def call(self, body: Any, inputs: Any, training: bool = False) -> Any:
        """float32 ``[n, outcomes, width]``.

        Args:
            body: float32 ``[n, k]``, what the experts see.
            inputs: float32 ``[n, m]``, what the gates see.
            training: as in Keras.
        """
        found = tf.stack([network(body, training=training) for network in self.networks], axis=1)
        return tf.matmul(tf.nn.softmax(tf.reshape(self.gates(inputs), self.shape_of_gates), axis=2), found)


class VectorProduct(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """The element-wise product of two projected vectors (generalised matrix factorisation, He et al., WWW 2017).

    Args:
        factors: width of the product.
        user: columns of the user's vector.
        item: columns of the item's.
    """

    def __init__(self, factors: int, user: list[int], item: list[int]) -> None:
        super().__init__()
        self.user, self.item = tf.constant(user, tf.int32), tf.constant(item, tf.int32)
        self.user_factors = keras.layers.Dense(factors, use_bias=False)
        self.item_factors = keras.layers.Dense(factors, use_bias=False)

    def call(self, filled: Any) -> Any:
        """float32 ``[n, features]`` without NaN to float32 ``[n, factors]``."""
        user = self.user_factors(tf.gather(filled, self.user, axis=1))
        return user * self.item_factors(tf.gather(filled, self.item, axis=1))


class PositionTower(keras.layers.Layer):  # type: ignore[misc, name-defined]
    """What a place in the list adds to each outcome, whatever stands there; used in training only.

    The shallow tower of Zhao et al. (RecSys 2019) and PAL (Guo et al., RecSys 2019), one bias per place. An unknown
    place adds nothing; those of some lists are hidden in training, so that the features are learned without them too.

    Args:
        max_position: places from here on share one bias.
        outcomes: how many biases a place has.
        dropout: share of lists whose places are hidden in training.
    """

    def __init__(self, max_position: int, outcomes: int, dropout: float) -> None:
        super().__init__()
        self.max_position, self.dropout = max_position, dropout
        self.bias = self.add_weight("bias", (max_position + 1, outcomes), initializer="zeros")

    def call(self, positions: Any, training: bool = False) -> Any:
        """int32 ``[lists, candidates]`` (from 1; 0 not known) to float32 ``[lists, candidates, outcomes]``."""
        place = tf.clip_by_value(positions, 0, self.max_position)
        if training and self.dropout:
            # Whole lists: a softmax compares the candidates of one, with their places or without.
            hidden = tf.random.uniform([tf.shape(place)[0], 1]) < self.dropout
            place = tf.where(hidden, 0, place)
        return _GAIN * tf.gather(self.bias, place) * tf.cast(place > 0, tf.float32)[:, :, None]
