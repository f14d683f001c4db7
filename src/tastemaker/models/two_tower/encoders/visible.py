"""Which positions of packed rows see which, and how far apart they are."""

from typing import Any

from tastemaker.keras import tensorflow

tf = tensorflow()

__all__ = ["bias", "visible"]


def visible(inputs: dict[str, Any]) -> Any:
    """Bool ``[rows, window, window]``: whether position ``i`` sees position ``j``: own history, not a later basket."""
    segments, groups = inputs["segments"], inputs["groups"]
    same = segments[:, :, None] == segments[:, None, :]
    return same & (groups[:, None, :] <= groups[:, :, None])


def bias(by_distance: Any, by_time: Any, times: Any, heads: int) -> Any:
    """What distance in events and in time adds to attention.

    Position by distance rather than by place: the newest events matter alike in short and in long histories
    (relative bias, Raffel et al., JMLR 2020; with time, HSTU, Zhai et al., ICML 2024).

    Args:
        by_distance: float32 ``[heads, window]``, learned, by number of events between; None without an order.
        by_time: float32 ``[heads]``, learned slope on the logarithm of the time between; None without times.
        times: float32 ``[rows, window]``.
        heads: of attention.

    Returns:
        float32, broadcasts to ``[rows, heads, window, window]``.
    """
    width = times.shape[1]
    total = tf.zeros((1, heads, 1, 1))
    if by_distance is not None:
        steps = tf.maximum(tf.range(width)[:, None] - tf.range(width)[None, :], 0)
        # A product with the one-hot steps: its gradient is a matrix product too, where a gather's is a slow scatter.
        hot = tf.one_hot(tf.reshape(steps, [-1]), by_distance.shape[1])
        total += tf.reshape(tf.matmul(by_distance, hot, transpose_b=True), [1, heads, width, width])
    if by_time is not None:
        apart = tf.math.log1p(tf.abs(times[:, :, None] - times[:, None, :]))
        total -= tf.nn.softplus(by_time)[None, :, None, None] * apart[:, None]
    return total
