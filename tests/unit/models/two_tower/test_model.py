"""Two towers on data whose answer is known, and what must hold of any model."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext, Model
from tastemaker.models.two_tower.model import TwoTower

N_ITEMS = 24
SMALL: dict[str, Any] = {
    "dimension": 16, "layers": 1, "window": 8, "batch": 256, "learning_rate": 0.02, "epochs": 15, "dropout": 0.0,
    "event_dropout": 0.0, "average": 0.9, "patience": 30, "compiled": False,
}  # fmt: skip


def _cycle(users: int = 200, seed: int = 0) -> Histories:
    """After item ``i`` comes ``i + 1``; each user starts somewhere and goes 4 to 9 steps."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(4, 10, users)
    rows = np.repeat(np.arange(users), lengths)
    place = np.concatenate([np.arange(length) for length in lengths])
    items = (generator.integers(0, N_ITEMS, users)[rows] + place) % N_ITEMS
    return Histories.of(rows, items, n_users=users, n_items=N_ITEMS, times=place)


def _clusters(users: int = 200) -> Histories:
    """Items come in four groups of six; a user has four of one group, in no order."""
    generator = np.random.default_rng(5)
    items = [generator.choice(6, 4, replace=False) + 6 * (user % 4) for user in range(users)]
    return Histories.of(np.repeat(np.arange(users), 4), np.concatenate(items), n_users=users, n_items=N_ITEMS)


def _after(model: Model, items: list[int], times: list[int] | None = None) -> npt.NDArray[np.float32]:
    asked = Histories.of([0] * len(items), items, n_users=1, n_items=N_ITEMS, times=times)
    return model.score(asked)[0]


@pytest.fixture(scope="module")
def transformer() -> TwoTower:
    return TwoTower(encoder="transformer", **(SMALL | {"compiled": True})).fit(_cycle(), FitContext(seed=3))


@pytest.fixture(scope="module")
def bag() -> TwoTower:
    return TwoTower(**(SMALL | {"batch": 64})).fit(_clusters(), FitContext(seed=3))


def _share_right(model: Model) -> float:
    starts = range(N_ITEMS)
    found = [_after(model, [(at + step) % N_ITEMS for step in range(4)], [0, 1, 2, 3]).argmax() for at in starts]
    return float(np.mean([best == (at + 4) % N_ITEMS for at, best in zip(starts, found, strict=True)]))


def test_transformer_learns_what_comes_next(transformer: TwoTower) -> None:
    assert isinstance(transformer, Model)
    assert _share_right(transformer) > 0.9


@pytest.mark.parametrize(
    "parameters", [{"encoder": "gru"}, {"encoder": "weighted-mean", "loss": "sampled", "negatives": 16}]
)
def test_other_encoders_and_the_sampled_loss_learn_what_comes_next(parameters: dict[str, Any]) -> None:
    model = TwoTower(**(SMALL | {"bias": True} | parameters)).fit(_cycle(), FitContext(seed=3))
    assert _share_right(model) > 0.9


def test_without_an_order_items_of_the_own_group_come_first(bag: TwoTower) -> None:
    for group in range(4):
        best = np.argsort(-_after(bag, [6 * group, 6 * group + 3]))[:6]
        assert set(best.tolist()) == set(range(6 * group, 6 * group + 6))


def test_order_of_rows_does_not_matter_without_times(bag: TwoTower) -> None:
    np.testing.assert_allclose(_after(bag, [1, 2, 9]), _after(bag, [9, 1, 2]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["transformer", "bag"])
def test_a_user_without_a_history_gets_finite_scores(name: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name)
    scores = model.score(Histories.of([], [], n_users=2, n_items=N_ITEMS, times=[] if name == "transformer" else None))
    assert scores.shape == (2, N_ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-5)


def test_scores_are_products_of_query_and_item_vectors(transformer: TwoTower) -> None:
    asked = _cycle(users=7, seed=1)
    np.testing.assert_allclose(
        transformer.query_vectors(asked) @ transformer.item_vectors().T, transformer.score(asked), rtol=1e-5, atol=1e-5
    )


def test_a_history_longer_than_the_window_counts_by_its_newest_events(transformer: TwoTower) -> None:
    long = [(at * 5) % N_ITEMS for at in range(60)]
    short = long[-(SMALL["window"] - 1) :]
    np.testing.assert_allclose(
        _after(transformer, long, list(range(60))), _after(transformer, short, list(range(7))), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", ["transformer", "bag"])
def test_a_saved_model_scores_alike(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    model = request.getfixturevalue(name)
    model.save(tmp_path / "model", about={"feature_service": "v1"})
    asked = _cycle(users=20, seed=2) if name == "transformer" else _clusters(users=20)
    loaded = TwoTower.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.score(asked), model.score(asked), rtol=0, atol=1e-5)
    assert loaded.parameters == model.parameters


def test_a_saved_model_with_another_vocabulary_does_not_load(bag: TwoTower, tmp_path: Path) -> None:
    bag.save(tmp_path)
    (tmp_path / "vocabulary.json").write_text('["a"]')
    with pytest.raises(DataError, match="vocabulary"):
        TwoTower.load(tmp_path)
    with pytest.raises(DataError, match=r"model\.json is missing"):
        TwoTower.load(tmp_path / "elsewhere")


def test_the_same_seed_gives_the_same_scores() -> None:
    few = SMALL | {"epochs": 2, "encoder": "transformer", "dropout": 0.2, "event_dropout": 0.2}
    asked = _cycle(users=10, seed=4)
    first, second, other = (TwoTower(**few).fit(_cycle(), FitContext(seed=seed)).score(asked) for seed in (1, 1, 2))
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-5)
    assert np.abs(first - other).max() > 0.01


def test_a_warm_start_knows_what_the_earlier_model_knew(transformer: TwoTower, tmp_path: Path) -> None:
    transformer.save(tmp_path)
    grown = _cycle()
    # Two more items in the catalogue; nobody has them yet.
    grown = Histories(grown.offsets, grown.items, N_ITEMS + 2, grown.weights, grown.times, now=grown.now)
    model = TwoTower(encoder="transformer", warm_start=tmp_path, **(SMALL | {"epochs": 1, "learning_rate": 1e-4}))
    model.fit(grown, FitContext(seed=3, deadline=time.monotonic() + 60))
    asked = Histories.of([0] * 4, [3, 4, 5, 6], n_users=1, n_items=N_ITEMS + 2, times=[0, 1, 2, 3])
    assert model.score(asked)[0].argmax() == 7


def test_content_places_an_item_that_training_never_saw(tmp_path: Path) -> None:
    names = ["red shirt", "blue jeans", "green tea", "black pen"]
    items = pa.table(
        {
            "title": [f"{names[item // 6]} {item}" for item in range(N_ITEMS)],
            "category": [names[item // 6] for item in range(N_ITEMS)],
            "price": [float(item // 6 + 1) for item in range(N_ITEMS)],
            "vector": [[float(item // 6 == group) for group in range(4)] for item in range(N_ITEMS)],
        }
    )
    model = TwoTower(**(SMALL | {"batch": 64, "id_dropout": 0.3, "spectral": False}))
    model.fit(_clusters(), FitContext(seed=3, items=items))
    fresh = pa.table(
        {"title": ["green tea new", "red shirt new"], "category": ["green tea", "red shirt"], "price": [3.0, 1.0],
         "vector": [[0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]}
    )  # fmt: skip
    vectors = model.new_item_vectors(fresh)
    queries = model.query_vectors(Histories.of([0, 0, 1, 1], [12, 13, 1, 2], n_users=2, n_items=N_ITEMS))
    # The first user likes green tea (items 12 to 17), the second red shirts (0 to 5).
    scores = queries @ vectors.T
    assert scores[0, 0] > scores[0, 1]
    assert scores[1, 1] > scores[1, 0]
    model.save(tmp_path)
    loaded = TwoTower.load(tmp_path)
    np.testing.assert_allclose(loaded.new_item_vectors(fresh), vectors, rtol=0, atol=1e-5)
    # Fitted again without content, it does not answer from what it was before.
    loaded.fit(_clusters(), FitContext(seed=3, deadline=time.monotonic()))
    with pytest.raises(DataError, match="by id alone"):
        loaded.new_item_vectors(fresh)


def test_a_deadline_in_the_past_still_gives_a_model() -> None:
    model = TwoTower(**(SMALL | {"encoder": "weighted-mean"}))
    model.fit(_cycle(), FitContext(seed=1, deadline=time.monotonic() - 1))
    assert model.curve.stopped == "deadline"
    assert np.isfinite(_after(model, [1, 2], [0, 1])).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"encoder": "lstm"}, "encoder"),
        ({"dimension": 15}, "multiple of heads"),
        ({"depth": 3}, "depth"),
        ({"temperature": 0.0}, "temperature"),
        ({"dropout": 1.0}, "dropout"),
        ({"strategy": "tpu"}, "strategy"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        TwoTower(**parameters).fit(_cycle(), FitContext(seed=1))


def test_a_transformer_needs_an_order() -> None:
    with pytest.raises(DataError, match="order"):
        TwoTower(encoder="transformer").fit(_clusters(), FitContext(seed=1))


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match="two interactions"):
        TwoTower().fit(Histories.of([0, 1], [0, 1], n_users=2, n_items=3), FitContext(seed=1))


def test_an_unfitted_model_and_another_catalogue_are_refused(bag: TwoTower) -> None:
    with pytest.raises(DataError, match="not fitted"):
        TwoTower().score(_clusters())
    with pytest.raises(DataError, match="24"):
        bag.score(Histories.of([0], [0], n_users=1, n_items=3))
