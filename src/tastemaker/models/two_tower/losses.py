"""Softmax losses over all items or over sampled ones."""

from typing import Any

from tastemaker.keras import tensorflow

tf = tensorflow()

__all__ = ["full_softmax", "log_partition", "sampled_softmax"]

_NEVER = -1e9


def full_softmax(queries: Any, vectors: Any, targets: Any) -> Any:
    """Cross-entropy of each target among all items.

    Args:
        queries: float32 ``[n, dimension]``.
        vectors: float32 ``[n_items, dimension]``.
        targets: int32 ``[n]``.

    Returns:
        float32 ``[n]``.
    """
    logits = tf.matmul(queries, vectors, transpose_b=True)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)


def sampled_softmax(queries: Any, targets: Any, positives: Any, *, negatives: Any, ids: Any, log_expected: Any) -> Any:
    """Cross-entropy of each target among itself and shared negatives.

    Every negative's logit is reduced by the logarithm of how often it is expected among the negatives, which makes
    their sum an unbiased estimate of the sum over all items (logQ correction, Bengio and Senécal 2008; Yi et al.,
    RecSys 2019). The target itself is always there and is not corrected (Khrylchenko et al., RecSys 2025).

    Args:
        queries: float32 ``[n, dimension]``.
        targets: int32 ``[n]``.
        positives: float32 ``[n, dimension]``, vectors of the targets.
        negatives: float32 ``[m, dimension]``.
        ids: int32 ``[m]``, the items of the negatives.
        log_expected: float32 ``[m]``.

    Returns:
        float32 ``[n]``.
    """
    own = tf.reduce_sum(queries * positives, axis=1)
    logits = tf.matmul(queries, negatives, transpose_b=True) - log_expected[None, :]
    # An accidental hit: the target among the negatives would count twice.
    logits = tf.where(ids[None, :] == targets[:, None], _NEVER, logits)
    return tf.reduce_logsumexp(tf.concat([own[:, None], logits], axis=1), axis=1) - own


def log_partition(queries: Any, vectors: Any) -> Any:
    """float32 ``[n]``: the logarithm of all items' summed exponentials, for each query."""
    return tf.reduce_logsumexp(tf.matmul(queries, vectors, transpose_b=True), axis=1)
