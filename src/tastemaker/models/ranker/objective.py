"""One score from several outcomes and aims."""

from typing import Any

from tastemaker.keras import tensorflow
from tastemaker.models.ranker.parameters import ObjectiveWeights

tf = tensorflow()

__all__ = ["combined_score", "relevance"]


def relevance(log_odds: Any, outcome_weights: tuple[float, ...]) -> Any:
    """The logarithm of what is to be expected: ``log Σ weight × odds`` over the outcomes.

    Outcomes after an impression are rare, so that odds are near probabilities; unlike these, they keep apart what is
    almost certain. Of one outcome of weight 1 it is the log-odds themselves.

    Args:
        log_odds: float32 ``[n, outcomes]``, comparable between outcomes.
        outcome_weights: value of each.

    Returns:
        float32 ``[n]``.
    """
    return tf.reduce_logsumexp(log_odds + tf.math.log(tf.constant(outcome_weights, tf.float32)), axis=1)


def combined_score(relevant: Any, margin: Any, novelty: Any, weights: ObjectiveWeights) -> Any:
    """``weights.relevance × relevance + weights.margin × log(1 + margin) + weights.novelty × novelty``.

    The logarithm of a weighted product, as in Zhao et al., *Recommending What Video to Watch Next*, RecSys 2019: at
    equal weights of relevance and margin, lists are in the order of the expected money (of margins well above 1).

    Args:
        relevant: float32 ``[n]``, of :func:`relevance`.
        margin: float32 ``[n]``; below 0 counts as 0, NaN as 0.
        novelty: float32 ``[n]``; NaN counts as 0.
        weights: see there.

    Returns:
        float32 ``[n]``.
    """
    money = tf.math.log1p(tf.maximum(tf.where(tf.math.is_nan(margin), 0.0, margin), 0.0))
    new = tf.where(tf.math.is_nan(novelty), 0.0, novelty)
    return weights.relevance * relevant + weights.margin * money + weights.novelty * new
