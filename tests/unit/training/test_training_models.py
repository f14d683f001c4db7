from datetime import UTC, datetime

import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.events.contract import EVENT_TYPES
from tastemaker.events.item import Item
from tastemaker.release.tower_parameters import TowerParameters
from tastemaker.retrieval.encoders import ItemEncoder, QueryEncoder
from tastemaker.training.interactions import Interactions
from tastemaker.training.tower_training import export_towers, train_towers

DAY_US = 86_400_000_000
PURCHASE = EVENT_TYPES.index("purchase")
TOWERS = TowerParameters(dimension=16, history=12, epochs=15, batch_pairs=128)
GROUPS, SIZE = 3, 8


@pytest.fixture(scope="module")
def items():
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Item(
            item_id=f"i{row}",
            title=f"{('tea', 'garden', 'toy')[row // SIZE]} thing {row}",
            category=("shop", ("tea", "garden", "toy")[row // SIZE]),
            price=1.0 + row,
            created_at=created,
        )
        for row in range(GROUPS * SIZE)
    ]


@pytest.fixture(scope="module")
def interactions():
    """Sixty shoppers; each buys two items of one group on each of ten days."""
    random = np.random.default_rng(5)
    shopper, item, time = [], [], []
    for one in range(60):
        for day in range(10):
            for row in random.choice(SIZE, 2, replace=False):
                shopper.append(one)
                item.append(one % GROUPS * SIZE + row)
                time.append(day * DAY_US)
    n = len(item)
    return Interactions(
        shoppers=tuple(f"u{one}" for one in range(60)),
        n_users=60,
        shopper=np.array(shopper, dtype=np.int32),
        item=np.array(item, dtype=np.int32),
        type=np.full(n, PURCHASE, dtype=np.int8),
        time_us=np.array(time, dtype=np.int64),
    )


@pytest.fixture(scope="module")
def towers(interactions, items, tmp_path_factory):
    """The fitted model, where it was exported to, and the vectors."""
    directory = tmp_path_factory.mktemp("towers")
    model, _ = train_towers(interactions, items, ("purchase",), TOWERS, seed=1)
    return model, directory, export_towers(model, TOWERS, directory)


def history(*rows):
    return (
        np.array(rows, dtype=np.int64),
        np.full(len(rows), PURCHASE, dtype=np.int64),
        np.full(len(rows), 9 * DAY_US, dtype=np.int64),
    )


def test_towers_lead_from_a_history_to_the_items_of_its_group(towers):
    _, directory, vectors = towers
    encode = QueryEncoder(directory / "query_tower", TOWERS.history)
    for group in range(GROUPS):
        (query,) = encode([history(group * SIZE, group * SIZE + 1)], 10 * DAY_US, vectors)
        top = np.argsort(-vectors @ query)[:SIZE]
        # Eight items of the group exist: chance would find 8 / 3 of them.
        assert (top // SIZE == group).sum() >= SIZE - 1


def test_exported_item_tower_gives_the_vectors_that_training_saw(towers, items):
    model, directory, vectors = towers
    encoded = ItemEncoder(directory / "item_tower", TOWERS.content)(items, range(1, len(items) + 1))
    np.testing.assert_allclose(encoded, vectors, atol=1e-5)
    np.testing.assert_allclose(model.items(model.content).numpy(), vectors, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_exported_query_tower_equals_the_model(towers):
    model, directory, vectors = towers
    past = history(3, 4, 5)
    (exported,) = QueryEncoder(directory / "query_tower", TOWERS.history)([past], 10 * DAY_US, vectors)
    padded = np.zeros((1, TOWERS.history), dtype=np.int64)
    padded[0, :3] = past[0]
    mask = (np.arange(TOWERS.history) < 3).astype(np.float32)[None, :]
    inputs = {
        "vectors": vectors[padded],
        "types": np.full((1, TOWERS.history), PURCHASE),
        "age_days": mask,
        "mask": mask,
    }
    np.testing.assert_allclose(exported, model.query(inputs).numpy()[0], atol=1e-5)


def test_new_item_lands_near_its_group_by_content_alone(towers, items):
    _, directory, vectors = towers
    new = Item(
        item_id="new",
        title="garden thing fresh",
        category=("shop", "garden"),
        price=12.0,
        created_at=items[0].created_at,
    )
    (vector,) = ItemEncoder(directory / "item_tower", TOWERS.content)([new], [0])
    near = [float((vectors[group * SIZE : (group + 1) * SIZE] @ vector).mean()) for group in range(GROUPS)]
    assert np.argmax(near) == 1


def test_one_click_turns_the_query(towers):
    _, directory, vectors = towers
    encode = QueryEncoder(directory / "query_tower", TOWERS.history)
    old = history(0, 1, 2)
    clicked = tuple(
        np.concatenate([[value], part])
        for value, part in zip((17, EVENT_TYPES.index("view"), 10 * DAY_US), old, strict=True)
    )
    before, after = encode([old, clicked], 10 * DAY_US, vectors)
    assert vectors[17] @ after > vectors[17] @ before


def test_query_of_an_empty_history_is_nothing(towers):
    _, directory, vectors = towers
    (query,) = QueryEncoder(directory / "query_tower", TOWERS.history)([history()], 10 * DAY_US, vectors)
    assert not query.any()


def test_same_seed_gives_the_same_vectors_and_another_seed_others(interactions, items, tmp_path):
    quick = TOWERS.model_copy(update={"epochs": 1})
    runs = []
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        model, _ = train_towers(interactions, items, ("purchase",), quick, seed=seed)
        runs.append(export_towers(model, quick, tmp_path / name))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 0.01


def test_shoppers_who_never_came_back_teach_nothing(items):
    once = Interactions(
        ("u0",), 1, np.zeros(1, np.int32), np.zeros(1, np.int32), np.full(1, PURCHASE, np.int8), np.zeros(1, np.int64)
    )
    with pytest.raises(DataError, match="came back"):
        train_towers(once, items, ("purchase",), TOWERS, seed=1)
