"""The newest position alone says what all positions together say there."""

import numpy as np
import pytest

from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.encoders.weighted_mean import WeightedMean
from tastemaker.models.two_tower.parameters import TowerParameters

tf = tensorflow()


@pytest.mark.parametrize("time_unit", [0.0, 1.0])
def test_newest_position_of_a_weighted_mean_is_that_of_all_positions(time_unit: float) -> None:
    generator = np.random.default_rng(3)
    rows, window, size = 3, 6, 8
    encoder = WeightedMean(TowerParameters(dimension=size, window=window, heads=2, time_unit=time_unit))
    vectors = tf.constant(generator.normal(size=(rows, window, size)), tf.float32)
    times = tf.constant(np.cumsum(generator.random((rows, window)), axis=1), tf.float32)
    at = tf.constant([0, 3, 5])
    place = tf.zeros((rows, 1), tf.int32) + tf.range(window)[None, :]
    inputs = {"times": times, "groups": place, "segments": tf.where(place > at[:, None], -1, 0)}
    encoder(vectors, inputs)  # makes the weights
    for weight in encoder.trainable_variables:
        weight.assign(generator.normal(size=weight.shape))
    everywhere = encoder(vectors, inputs).numpy()
    newest = encoder.newest(vectors, inputs, at).numpy()
    np.testing.assert_allclose(newest, everywhere[np.arange(rows), [0, 3, 5]], rtol=1e-4, atol=1e-5)
