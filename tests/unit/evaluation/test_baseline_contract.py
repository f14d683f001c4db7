"""What every baseline must do; discovers them, so that a new one cannot be left out."""

import importlib
import inspect
import pkgutil
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from tastemaker.errors import DataError
from tastemaker.evaluation import baselines
from tastemaker.evaluation.baselines.own_frequency import OwnFrequency
from tastemaker.evaluation.baselines.protocol import Baseline
from tastemaker.evaluation.baselines.registry import BASELINES, rank_baselines
from tastemaker.evaluation.interactions import INTERACTIONS
from tastemaker.evaluation.splits import temporal_split

AT = datetime(2024, 3, 1, tzinfo=UTC)


def _discovered() -> dict[str, type]:
    found = {}
    for module in pkgutil.iter_modules(baselines.__path__):
        loaded = importlib.import_module(f"{baselines.__name__}.{module.name}")
        for name in getattr(loaded, "__all__", ()):
            value = getattr(loaded, name)
            if inspect.isclass(value) and value is not Baseline and {"fit", "rank"} <= set(vars(value)):
                found[name] = value
    return found


CLASSES = _discovered()
MODELS = {**{name: cls for name, cls in CLASSES.items()}, "OwnFrequency(decayed)": lambda: OwnFrequency(60)}
every_baseline = pytest.mark.parametrize("build", MODELS.values(), ids=MODELS.keys())


def table(rows):
    """Rows of (user, item, days before AT)."""
    users, items, days = zip(*rows, strict=True) if rows else ((), (), ())
    moments = [AT - timedelta(days=day) for day in days]
    return pa.table({"user_id": users, "item_id": items, "occurred_at": moments}, schema=INTERACTIONS)


HISTORY = table(
    [("u", "a", 3), ("u", "a", 2), ("u", "b", 90), ("v", "a", 5), ("v", "c", 4), ("w", "c", 200), ("w", "d", 100)]
)


def test_every_baseline_is_registered_under_its_name():
    assert {type(build()) for build in BASELINES.values()} == set(CLASSES.values())
    assert all(build().name == name for name, build in BASELINES.items())
    assert len(CLASSES) >= 4


@every_baseline
def test_it_satisfies_the_protocol(build):
    assert isinstance(build(), Baseline)
    assert build().name


@every_baseline
def test_lists_have_the_asked_shape_with_each_item_once(build):
    ranked = build().fit(HISTORY, AT).rank(["u", "v", "w"], 3)
    assert ranked.shape == (3, 3)
    assert all(len(set(row)) == 3 and "" not in row for row in ranked.tolist())


@every_baseline
def test_a_small_catalogue_is_filled_up_with_empty_places(build):
    ranked = build().fit(HISTORY, AT).rank(["u"], 6)
    assert sorted(ranked[0].tolist()) == ["", "", "a", "b", "c", "d"]
    assert ranked[0, 4:].tolist() == ["", ""]


@every_baseline
def test_an_unknown_user_gets_popular_items(build):
    ranked = build().fit(HISTORY, AT).rank(["nobody", "u"], 2)
    assert set(ranked[0].tolist()) == {"a", "c"}  # two users each, b and d one


@every_baseline
def test_what_happens_later_changes_nothing(build):
    later = table([("u", "d", 0), ("u", "new", -1), ("x", "d", -2)])
    with_future = pa.concat_tables([HISTORY, later])
    users = ["u", "v", "w", "x"]
    assert (build().fit(with_future, AT).rank(users, 4) == build().fit(HISTORY, AT).rank(users, 4)).all()


@every_baseline
def test_the_order_of_rows_and_users_does_not_matter(build):
    turned = HISTORY.take(list(reversed(range(HISTORY.num_rows))))
    ranked = build().fit(HISTORY, AT).rank(["u", "v", "w"], 4)
    assert (build().fit(turned, AT).rank(["w", "v", "u"], 4)[::-1] == ranked).all()


@every_baseline
def test_no_users_give_no_rows(build):
    assert build().fit(HISTORY, AT).rank([], 3).shape == (0, 3)


@every_baseline
@pytest.mark.parametrize("rows", [[], [("u", "a", -5)]], ids=["empty", "only the future"])
def test_nothing_to_learn_from_is_refused(build, rows):
    with pytest.raises(DataError, match="no interactions before"):
        build().fit(table(rows), AT)


def test_registered_baselines_rank_for_the_test_users():
    interactions = pa.concat_tables([HISTORY, table([("v", "a", -1), ("u", "c", -1)])])
    truth = temporal_split(interactions, AT, 2).truth
    ranked = rank_baselines(interactions, AT, truth, k=2)
    assert set(ranked) == set(BASELINES)
    assert all(rows.shape == (2, 2) for rows in ranked.values())
