"""Vectors of items in serving are those of the exported item tower."""

import dataclasses

import numpy as np
import pytest

from tastemaker.errors import ServingError
from tastemaker.keras import tensorflow
from tastemaker.models.two_tower.asking import ContentTower
from tastemaker.models.two_tower.content import ContentFacts, content_scale, encode_content
from tastemaker.models.two_tower.item_tower import Beginning
from tastemaker.models.two_tower.network import Network
from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.progress import Curve
from tastemaker.models.two_tower.saved import CONTENT, WEIGHTS, Saved
from tastemaker.models.two_tower.warm_start import named_weights
from tastemaker.retrieval.content_vectors import ContentVectors

tf = tensorflow()
ITEMS, SIZE = 20, 8
VARIANTS = {
    "unit vectors": {},
    "any length and a bias": {"normalise": False, "bias": True},
    "vectors from outside": {"outside": 5},
    "an encoder of another kind": {"encoder": "gru"},
}


def facts(n, outside, seed):
    random = np.random.default_rng(seed)
    return ContentFacts(
        titles=["", *(f"Red thing {number} of number {number % 3}" for number in range(1, n))],
        categories=["", *(f"shop/{'toys' if number % 2 else 'garden'}/{number % 4}" for number in range(1, n))],
        prices=np.where(np.arange(n) % 5 == 4, np.nan, random.uniform(1, 50, n)),
        created=np.where(np.arange(n) % 7 == 6, np.nan, random.uniform(0, 90, n)),
        vectors=random.normal(size=(n, outside)).astype(np.float32),
    )


def exported(directory, outside=0, **values):
    """A model with random weights, as one is saved: every weight counts, also those that training starts at 0."""
    random = np.random.default_rng(11)
    parameters = TowerParameters(**({"encoder": "weighted-mean", "dimension": SIZE, "window": 6, "heads": 2} | values))
    known = facts(ITEMS, outside, 1)
    scale = content_scale(known, 100.0, 1.0)
    network = Network(ITEMS, encode_content(known, scale), Beginning(np.full(ITEMS, 1 / ITEMS)), parameters)
    network.search_vectors()  # makes the weights
    for weight in network.trainable_variables:
        weight.assign(random.normal(scale=0.4, size=weight.shape))
    tower = ContentTower(network, scale.width)
    tf.saved_model.save(tower, str(directory / CONTENT), {"serving_default": tower.ask})
    np.savez(directory / WEIGHTS, **named_weights(network))
    vectors = network.search_vectors().numpy()
    return Saved(directory, parameters, vectors, scale, None, (), Curve(), None, {})


@pytest.mark.parametrize("variant", VARIANTS)
def test_vectors_are_those_of_the_exported_tower(tmp_path, variant):
    saved = exported(tmp_path, **VARIANTS[variant])
    content = encode_content(facts(9, saved.scale.width, 5), saved.scale)  # changed items, and new ones
    rows = np.array([3, -1, 0, 19, -1, 7, 7, -1, 2])
    tower = saved.content_tower()  # its variables live as long as it does
    expected = tower.ask(rows=rows.astype(np.int32), **vars(content)).numpy()
    np.testing.assert_allclose(ContentVectors(saved, saved.scale)(rows, content), expected, atol=2e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_items_that_did_not_change_keep_the_vectors_of_training(tmp_path, variant):
    saved = exported(tmp_path, **VARIANTS[variant])
    content = encode_content(facts(ITEMS, saved.scale.width, 1), saved.scale)
    found = ContentVectors(saved, saved.scale)(np.arange(ITEMS), content)
    np.testing.assert_allclose(found, saved.vectors, atol=2e-6)


def test_no_items_have_no_vectors(tmp_path):
    saved = exported(tmp_path, bias=True)
    content = encode_content(facts(1, 0, 1), saved.scale)
    nothing = dataclasses.replace(content, **{name: values[:0] for name, values in vars(content).items()})
    assert ContentVectors(saved, saved.scale)(np.zeros(0, np.int64), nothing).shape == (0, SIZE + 1)


def test_many_items_are_the_same_in_pieces(tmp_path, monkeypatch):
    saved = exported(tmp_path)
    content = encode_content(facts(ITEMS, 0, 5), saved.scale)
    tower, rows = ContentVectors(saved, saved.scale), np.arange(ITEMS)
    whole = tower(rows, content)
    monkeypatch.setattr("tastemaker.retrieval.content_vectors._AT_ONCE", 3)
    np.testing.assert_allclose(tower(rows, content), whole, atol=1e-7)


@pytest.mark.parametrize("name", ["ids:0", "mix/kernel:0", "numbers/bias:0"])
def test_weights_that_are_missing_or_of_another_shape_are_told(tmp_path, name):
    saved = exported(tmp_path)
    weights = saved.weights()
    shape = weights[name].shape
    for changed, said in (({name: weights[name][:-1]}, "of shape"), ({}, r"not \[\]")):
        np.savez(tmp_path / WEIGHTS, **({key: value for key, value in weights.items() if key != name} | changed))
        with pytest.raises(ServingError, match=said) as refused:
            ContentVectors(saved, saved.scale)
        assert f"one weight {name.removesuffix(':0')!r} of shape {shape}" in str(refused.value)


def test_a_file_that_is_gone_is_told(tmp_path):
    saved = exported(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(ServingError, match="cannot be read"):
        ContentVectors(saved, saved.scale)
