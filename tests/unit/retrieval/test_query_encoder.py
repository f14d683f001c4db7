"""Queries in serving are those of the exported function, whatever computes them."""

import dataclasses

import numpy as np
import pytest

from tastemaker.errors import ServingError
from tastemaker.events.contract import EVENT_TYPES
from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.asking import QueryTower
from tastemaker.models.two_tower.item_tower import Beginning
from tastemaker.models.two_tower.network import Network
from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.progress import Curve
from tastemaker.models.two_tower.saved import QUERY, WEIGHTS, Saved
from tastemaker.models.two_tower.warm_start import named_weights
from tastemaker.retrieval.encoders import QueryEncoder, type_codes

tf = tensorflow()
ITEMS, SIZE, WINDOW = 30, 16, 12
DAY_US = 86_400_000_000
NOW = 400 * DAY_US
TYPES = ("purchase", "view", "cart_add")
VARIANTS = {
    "times and types": {"time_unit": 2.5 * DAY_US, "n_types": 3},
    "one type": {"time_unit": 2.5 * DAY_US, "n_types": 1},
    "no times, a bias, any length": {"n_types": 3, "normalise": False, "bias": True},
    "an encoder of another kind": {"encoder": "gru", "time_unit": 2.5 * DAY_US, "n_types": 3},
}


def exported(directory, **values):
    """A model with random weights, as one is saved: every weight counts, also those that training starts at 0."""
    random = np.random.default_rng(11)
    parameters = TowerParameters(
        **({"encoder": "weighted-mean", "dimension": SIZE, "window": WINDOW, "heads": 4} | values)
    )
    network = Network(ITEMS, None, Beginning(np.full(ITEMS, 1 / ITEMS)), parameters)
    query = QueryTower(network)
    asked = tf.zeros((1, WINDOW - 1), tf.int32)
    query.ask(tf.zeros((1, WINDOW - 1, SIZE)), asked, tf.zeros((1, WINDOW - 1)), tf.ones((1,), tf.int32))
    for weight in network.trainable_variables:
        weight.assign(random.normal(scale=0.4, size=weight.shape))
    query = QueryTower(network)
    tf.saved_model.save(query, str(directory / QUERY), {"serving_default": query.ask})
    np.savez(directory / WEIGHTS, **named_weights(network))
    vectors = network.search_vectors().numpy()
    names = TYPES[: parameters.n_types]
    return Saved(directory, parameters, vectors, None, None, names, Curve(), None, {})


def history(random, rows, length):
    """Newest first; some events at one moment."""
    times = np.sort(random.integers(0, 300, length) * DAY_US + random.integers(0, 2, length) * 3_600_000_000)[::-1]
    return random.integers(0, rows, length), random.integers(0, len(EVENT_TYPES), length), times


def asked_directly(saved, histories, vectors):
    """The exported function on all histories at once, oldest event first, as training packs them."""
    n, parameters = len(histories), saved.parameters
    events, lengths = np.zeros((n, WINDOW - 1, SIZE), np.float32), np.zeros(n, np.int32)
    types, times = np.zeros((n, WINDOW - 1), np.int32), np.zeros((n, WINDOW - 1), np.float32)
    codes = type_codes(saved.type_names)
    for at, (rows, kinds, moments) in enumerate(histories):
        length = lengths[at] = min(len(rows), WINDOW - 1)
        events[at, :length] = vectors[rows[:length][::-1], :SIZE]
        types[at, :length] = codes[kinds[:length][::-1]]
        if length and parameters.time_unit:
            times[at, :length] = (moments[:length][::-1] - moments[length - 1]) / parameters.time_unit
    tower = saved.query_tower()  # its variables live as long as it does
    found = tower.ask(*(tf.constant(each) for each in (events, types, times, lengths))).numpy()
    return found * (parameters.temperature if parameters.normalise else 1.0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_queries_are_those_of_the_exported_function(tmp_path, variant):
    saved = exported(tmp_path, **VARIANTS[variant])
    random = np.random.default_rng(2)
    fresh = random.normal(size=(5, saved.vectors.shape[1])).astype(np.float32)  # items of after training
    vectors = np.concatenate([saved.vectors, fresh / np.linalg.norm(fresh, axis=1, keepdims=True)])
    # One event, some, exactly the window, longer than it.
    histories = [history(random, len(vectors), length) for length in (1, 1, 2, 5, 8, 11, 12, 40, 200) for _ in range(4)]
    found = QueryEncoder(saved)(histories, NOW, vectors)
    wanted = asked_directly(saved, histories, vectors)
    assert found.dtype == np.float32
    assert np.ptp(wanted, axis=0).max() > 0.1  # the histories differ
    scale = 1.0 if saved.parameters.normalise else float(np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * scale)


def test_empty_histories_and_the_future_give_nothing_and_the_past_counts_alone(tmp_path):
    saved = exported(tmp_path, **VARIANTS["times and types"])
    encode = QueryEncoder(saved)
    rows, types, times = history(np.random.default_rng(3), ITEMS, 6)
    empty = tuple(np.zeros(0, dtype=np.int64) for _ in range(3))
    later = tuple(
        np.concatenate([[value], part]) for value, part in zip((1, 0, NOW + 1), (rows, types, times), strict=True)
    )
    found = encode([empty, (rows, types, times), later, (rows, types, times + NOW)], NOW, saved.vectors)
    assert not found[0].any()
    assert not found[3].any()
    np.testing.assert_array_equal(found[1], found[2])
    assert encode([], NOW, saved.vectors).shape == (0, SIZE)


def test_weights_of_another_version_are_refused(tmp_path):
    saved = exported(tmp_path, **VARIANTS["one type"])
    larger = dataclasses.replace(saved.parameters, heads=8)
    with pytest.raises(ServingError, match=r"slope.*train the release again"):
        QueryEncoder(dataclasses.replace(saved, parameters=larger))
    (tmp_path / WEIGHTS).write_bytes(b"PK")
    with pytest.raises(ServingError, match="cannot be read"):
        QueryEncoder(saved)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(ServingError, match="cannot be read"):
        QueryEncoder(saved)
