"""Losses over lists."""

from typing import Any

from tastemaker.keras import tensorflow

tf = tensorflow()
keras = tf.keras

__all__ = ["ListwiseSoftmax"]


class ListwiseSoftmax(keras.losses.Loss):  # type: ignore[misc, name-defined]
    """Cross entropy between a list's labels and the softmax over its scores; padding has the label -1.

    Cao et al., *Learning to Rank: From Pairwise Approach to Listwise Approach*, ICML 2007. A list without a hit has
    the loss 0.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss per list.

        Args:
            y_true: float32 ``[lists, candidates]``: 1, 0, or -1 for padding.
            y_pred: float32 ``[lists, candidates]``.
        """
        real = y_true >= 0
        log_share = tf.nn.log_softmax(tf.where(real, y_pred, -1e9), axis=1)
        hits = tf.where(real, y_true, 0.0)
        count = tf.reduce_sum(hits, axis=1)
        # Between one vote per list and one per hit: shoppers who buy a lot say more, but do not drown the others.
        return -tf.reduce_sum(hits * tf.where(real, log_share, 0.0), axis=1) / tf.sqrt(tf.maximum(count, 1.0))
