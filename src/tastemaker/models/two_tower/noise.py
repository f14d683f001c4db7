"""Randomness inside a training step, from a seed and a counter: it repeats itself on any number of threads."""

import math
from typing import Any

from tastemaker.keras import tensorflow

tf = tensorflow()

__all__ = ["Noise"]


class Noise:
    """Draws of one step, each from a seed of its own.

    A hash of the element's number (the finaliser of MurmurHash3), not a cryptographic generator: in compiled steps on
    a CPU, TensorFlow's own generators take longer than all of the network does.

    Args:
        seed: int32 ``[2]``: of the training and of the step.
    """

    def __init__(self, seed: Any) -> None:
        mixed = _mix(tf.cast(seed, tf.uint32))
        self._seed = mixed[0] * tf.constant(0x9E3779B1, tf.uint32) + mixed[1]
        self._draws = 0

    def _bits(self, shape: tuple[int, ...]) -> Any:
        self._draws += 1
        n = math.prod(shape)
        start = _mix(self._seed + tf.constant(0x7F4A7C15 * self._draws % 2**32, tf.uint32))
        counter = tf.cast(tf.range(n), tf.uint32) * tf.constant(0x9E3779B9, tf.uint32)
        return tf.reshape(_mix(counter + start), shape)

    def uniform(self, shape: tuple[int, ...]) -> Any:
        """float32 of a shape in ``[0, 1)``."""
        # The upper 24 bits: all that a float32 below 1 can hold.
        return tf.cast(tf.bitwise.right_shift(self._bits(shape), tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24

    def integers(self, shape: tuple[int, ...], limit: int) -> Any:
        """int32 of a shape in ``[0, limit)``."""
        return tf.cast(tf.math.floormod(self._bits(shape), tf.constant(limit, tf.uint32)), tf.int32)

    def dropout(self, values: Any, rate: float) -> Any:
        """Values, of a shape that is known, with a share of them set to 0 and the rest scaled up."""
        if rate == 0.0:
            return values
        kept = tf.cast(self.uniform(tuple(values.shape)) >= rate, tf.float32)
        return values * kept * (1.0 / (1.0 - rate))


def _mix(bits: Any) -> Any:
    bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32)))
    bits *= tf.constant(0x85EBCA6B, tf.uint32)
    bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(13, tf.uint32)))
    bits *= tf.constant(0xC2B2AE35, tf.uint32)
    return tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(16, tf.uint32)))
