import dataclasses
from datetime import UTC, datetime

import numpy as np
import pytest

from tastemaker.errors import DataError, ServingError
from tastemaker.events.contract import EVENT_TYPES
from tastemaker.events.item import Item
from tastemaker.models.two_tower.content import encode_content
from tastemaker.models.two_tower.item_table import facts_of_table
from tastemaker.models.two_tower.model import TwoTower
from tastemaker.models.two_tower.saved import load_saved
from tastemaker.release.tower_parameters import ReleaseTowerParameters
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.encoders import ItemEncoder, QueryEncoder, type_codes
from tastemaker.retrieval.item_facts import item_facts
from tastemaker.training.interactions import Interactions
from tastemaker.training.tower_fit import TowerStart, fit_towers, search_values
from tastemaker.training.tower_histories import item_table, tower_histories

DAY_US = 86_400_000_000
PURCHASE, VIEW = EVENT_TYPES.index("purchase"), EVENT_TYPES.index("view")
CHOSEN = {"dimension": 16, "window": 12, "batch": 256, "epochs": 12, "learning_rate": 0.02, "dropout": 0.0,
          "average": 0.9, "compiled": False, "patience": 30}  # fmt: skip
TOWERS = ReleaseTowerParameters(encoder="weighted-mean", chosen=CHOSEN)
GROUPS, SIZE = 3, 8
CREATED = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def items():
    return [
        Item(
            item_id=f"i{row}",
            title=f"{('tea', 'garden', 'toy')[row // SIZE]} thing {row}",
            category=("shop", ("tea", "garden", "toy")[row // SIZE]),
            price=1.0 + row // SIZE * 10,
            created_at=CREATED,
        )
        for row in range(GROUPS * SIZE)
    ]


@pytest.fixture(scope="module")
def interactions():
    """Sixty shoppers; each buys two items of one group on each of ten days, and looks at one before."""
    random = np.random.default_rng(5)
    shopper, item, kind, time = [], [], [], []
    for one in range(60):
        for day in range(10):
            chosen = random.choice(SIZE, 3, replace=False)
            for place, row in enumerate(chosen):
                shopper.append(one)
                item.append(one % GROUPS * SIZE + row)
                kind.append(PURCHASE if place else VIEW)
                time.append(day * DAY_US + place * 60_000_000)
    return Interactions(
        shoppers=tuple(f"u{one}" for one in range(60)),
        n_users=60,
        shopper=np.array(shopper, dtype=np.int32),
        item=np.array(item, dtype=np.int32),
        type=np.array(kind, dtype=np.int8),
        time_us=np.array(time, dtype=np.int64),
    )


def fit(interactions, items, directory, parameters=TOWERS, *, start=None, progress=lambda line: None, seed=1):
    return fit_towers(
        interactions, items, parameters, directory,
        seed=seed, about={"feature_plan": "p1"}, start=start or TowerStart(), progress=progress,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fitted(interactions, items, tmp_path_factory):
    """The report and the folder."""
    directory = tmp_path_factory.mktemp("towers")
    return fit(interactions, items, directory), directory


def history(*rows, kind=PURCHASE):
    return (
        np.array(rows, dtype=np.int64),
        np.full(len(rows), kind, dtype=np.int64),
        np.full(len(rows), 9 * DAY_US, dtype=np.int64),
    )


def test_towers_lead_from_a_history_to_the_items_of_its_group(fitted):
    saved = load_saved(fitted[1])
    for group in range(GROUPS):
        (query,) = QueryEncoder(saved)([history(group * SIZE, group * SIZE + 1)], 10 * DAY_US, saved.vectors)
        top = np.argsort(-saved.vectors @ query)[:SIZE]
        # Eight items of the group exist: chance would find 8 / 3 of them.
        assert (top // SIZE == group).sum() >= SIZE - 1


def test_serving_gives_the_vectors_and_queries_of_training(fitted, interactions, items):
    saved = load_saved(fitted[1])
    np.testing.assert_allclose(ItemEncoder(saved)(items, range(len(items))), saved.vectors, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(saved.vectors, axis=1), 1.0, atol=1e-5)
    # The histories of three shoppers as training codes them, and as serving reads them: newest first.
    histories = tower_histories(interactions, len(items)).take(np.array([0, 1, 2]))
    asked = []
    for user in range(3):
        own = slice(histories.offsets[user], histories.offsets[user + 1])
        kinds = [EVENT_TYPES.index(histories.type_names[code]) for code in histories.types[own]]
        asked.append((histories.items[own][::-1], np.array(kinds)[::-1], histories.times[own].astype(np.int64)[::-1]))
    trained = TwoTower.load(fitted[1]).query_vectors(histories) * saved.parameters.temperature
    np.testing.assert_allclose(QueryEncoder(saved)(asked, 20 * DAY_US, saved.vectors), trained, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(trained, axis=1), 1.0, atol=1e-5)  # their products are cosines


def test_new_item_is_near_its_group_and_counts_in_a_history_by_content_alone(fitted, items):
    saved = load_saved(fitted[1])
    new = Item(item_id="new", title="garden thing fresh", category=("shop", "garden"), price=11.0, created_at=CREATED)
    before = Catalogue(tuple(item.item_id for item in items), tuple(items), saved.vectors, len(items))
    after = before.updated([("new", new)], ItemEncoder(saved))
    near = after.vectors[: len(items)] @ after.vectors[-1]
    assert np.argmax(near.reshape(GROUPS, SIZE).mean(axis=1)) == 1
    (query,) = QueryEncoder(saved)([history(len(items))], 10 * DAY_US, after.vectors)
    assert np.argmax((saved.vectors @ query).reshape(GROUPS, SIZE).mean(axis=1)) == 1


def test_changed_item_moves_by_its_content_and_keeps_what_its_id_says(fitted, items):
    saved = load_saved(fitted[1])
    moved = Item(item_id="i0", title="garden thing 0", category=("shop", "garden"), price=11.0, created_at=CREATED)
    encode = ItemEncoder(saved)
    (known,), (unknown,) = encode([moved], [0]), encode([moved], [-1])
    assert np.abs(known - saved.vectors[0]).max() > 0.01
    assert np.abs(known - unknown).max() > 1e-3


def test_one_click_turns_the_query(fitted):
    saved = load_saved(fitted[1])
    old = history(0, 1, 2)
    clicked = tuple(np.concatenate([[value], part]) for value, part in zip((17, VIEW, 10 * DAY_US), old, strict=True))
    before, after = QueryEncoder(saved)([old, clicked], 10 * DAY_US, saved.vectors)
    assert saved.vectors[17] @ after > saved.vectors[17] @ before


def test_query_of_an_empty_history_is_nothing_and_the_future_is_not_seen(fitted):
    saved = load_saved(fitted[1])
    queries = QueryEncoder(saved)([history(), history(3, 4)], 8 * DAY_US, saved.vectors)
    assert not queries.any()


def test_event_types_are_matched_by_name_and_others_by_how_much_they_commit():
    codes = type_codes(("view", "purchase"))
    assert (codes[VIEW], codes[PURCHASE]) == (0, 1)
    assert codes[EVENT_TYPES.index("cart_add")] == 1  # weighs .8: nearer to 1 than to .5
    assert codes[EVENT_TYPES.index("like")] == 0  # weighs .6
    assert not type_codes(("purchase",)).any()
    with pytest.raises(DataError, match="purr"):
        type_codes(("purr",))


def test_export_tells_its_types_its_curve_and_what_it_belongs_to(fitted, items):
    report, directory = fitted
    saved = load_saved(directory)
    assert set(saved.type_names) == {"purchase", "view"}
    assert saved.about == {"feature_plan": "p1"}
    assert saved.vocabulary == tuple(item.item_id for item in items)
    assert report.configuration["encoder"] == "weighted-mean"
    assert report.stopped in {"patience", "epochs", "deadline"}
    assert len(report.steps) == len(report.ndcg) == len(report.loss) > 0
    assert any("validation NDCG" in line for line in report.lines())


def test_same_seed_gives_the_same_vectors_and_another_seed_others(interactions, items, tmp_path):
    quick = ReleaseTowerParameters(encoder="weighted-mean", chosen=CHOSEN | {"epochs": 1})
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        fit(interactions, items, tmp_path / name, quick, seed=seed)
    one, same, other = (load_saved(tmp_path / name).vectors for name in ("one", "same", "other"))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def test_warm_start_knows_at_once_what_the_earlier_towers_knew(fitted, interactions, items, tmp_path):
    newest = Item(item_id="a-new", title="toy new", category=("shop", "toy"), price=21.0, created_at=CREATED)
    grown = [newest, *items]  # every row moves by one
    later = dataclasses.replace(interactions, item=interactions.item + 1)
    slow = ReleaseTowerParameters(encoder="weighted-mean", chosen=CHOSEN | {"learning_rate": 1e-5})
    report = fit(later, grown, tmp_path / "warm", slow, start=TowerStart(earlier=fitted[1]))
    assert report.warm
    assert report.steps[-1] < fitted[0].steps[-1] / 4  # one pass instead of twelve
    before, after = load_saved(fitted[1]), load_saved(tmp_path / "warm")
    # A learning rate of nearly nothing: what is there was there before, each item in its new row.
    assert np.einsum("nd,nd->n", after.vectors[1:], before.vectors).min() > 0.99


def test_killed_fit_goes_on_from_its_checkpoint(interactions, items, tmp_path):
    parameters = ReleaseTowerParameters(encoder="weighted-mean", chosen=CHOSEN | {"batch": 32, "epochs": 4})

    class Killed(Exception):
        """Stands for the end of the process."""

    lines = []

    def killer(line):
        lines.append(line)
        if len(lines) == 3:
            raise Killed

    start = TowerStart(checkpoint_dir=tmp_path / "checkpoints")
    with pytest.raises(Killed):
        fit(interactions, items, tmp_path / "killed", parameters, start=start, progress=killer)
    after = []
    fit(interactions, items, tmp_path / "resumed", parameters, start=start, progress=after.append)
    fit(interactions, items, tmp_path / "whole", parameters)
    assert after[0] == lines[2]  # the third evaluation was told but not kept: it is made once more, and none before it
    resumed, whole = load_saved(tmp_path / "resumed"), load_saved(tmp_path / "whole")
    np.testing.assert_allclose(resumed.vectors, whole.vectors, atol=1e-5)


def test_search_stores_every_trial_and_gives_the_best_values(interactions, items):
    parameters = TOWERS.model_copy(update={"tuning_minutes": 0.05, "tuning_days": 2})
    assert not search_values(interactions, items, TOWERS, seed=1, progress=lambda line: None).trials
    start = search_values(interactions, items, parameters, seed=1, progress=lambda line: None)
    assert start.trials[0].values == {}  # the given values come first
    best = max(start.trials, key=lambda trial: trial.ndcg or 0.0)
    assert start.values == best.values


def test_shoppers_who_never_came_back_teach_nothing(items, tmp_path):
    once = Interactions(
        ("u0",), 1, np.zeros(1, np.int32), np.zeros(1, np.int32), np.full(1, PURCHASE, np.int8), np.zeros(1, np.int64)
    )
    with pytest.raises(DataError, match="came back"):
        fit(once, items, tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"encoder": "lstm"}, {"chosen": {"depth": 3}}, {"chosen": {"dropout": 1.5}}, {"minutes": 0}]
)
def test_impossible_parameters_are_refused_when_they_are_given(wrong):
    with pytest.raises(ValueError, match=r"lstm|depth|dropout|greater than 0"):
        ReleaseTowerParameters(**wrong)


def test_towers_without_content_are_refused(fitted):
    without = dataclasses.replace(load_saved(fitted[1]), scale=None)
    with pytest.raises(ServingError, match="by id alone"):
        ItemEncoder(without)


def test_serving_reads_items_as_training_does(items, fitted):
    saved = load_saved(fitted[1])
    odd = [
        Item(item_id="a", title="", created_at=CREATED, category=("Home / Garden", "x"), price=None),
        *items[:2],
    ]
    trained, served = (
        encode_content(facts, saved.scale) for facts in (facts_of_table(item_table(odd)), item_facts(odd))
    )
    for name, values in vars(trained).items():
        np.testing.assert_allclose(getattr(served, name), values, err_msg=name)
