"""Bringing history into a home, whatever the online store is."""

from contextlib import closing
from pathlib import Path

import pytest

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.events.adapters import tabular
from tastemaker.events.adapters.dataset import Dataset
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.streaming.state import FeatureState
from tastemaker.settings import Settings
from tastemaker.stack.workspace import import_history, rebuild_online

PURCHASES = FeatureSpec(
    name="purchases", function="count", column="event_id", types=("purchase",), dtype="int64", default=0
)
PLAN = FeaturePlan(
    views=(
        ViewPlan(
            name=names.VIEW_USER_ACTIVITY,
            kind="aggregate",
            entities=("user",),
            join_keys=("user_id",),
            features=(PURCHASES,),
            table=names.TABLE_EVENTS,
            timestamp_field=names.OCCURRED_AT,
        ),
    )
)


def history(directory: Path) -> Dataset:
    path = directory / "shop.csv"
    path.write_text("who,what,when\nu1,mug,2026-01-01T10:00:00Z\nu1,tea,2026-01-02T10:00:00Z\n")
    return tabular.load(path, {"user_id": "who", "item_id": "what", "occurred_at": "when", "type": "=purchase"})


def purchases_of_u1(settings: Settings, dataset: Dataset) -> int:
    with closing(FeatureReader(settings.online_location, PLAN)) as reader:
        return int(reader.row(names.VIEW_USER_ACTIVITY, "u1", to_us(dataset.last_event) + 1)["purchases"])


@pytest.mark.parametrize("online_store", ["online.sqlite", "elsewhere/store.sqlite", "memory:history"])
def test_history_reaches_an_online_store_that_is_there_already(settings, tmp_path, online_store):
    settings = settings.model_copy(update={"online_store": online_store})
    PLAN.save(settings.plan_path)
    dataset = history(tmp_path)
    with closing(FeatureState.open(settings.online_location, PLAN)):  # also keeps the one in memory
        assert purchases_of_u1(settings, dataset) == 0
        assert import_history(settings, dataset).events == 2
        assert purchases_of_u1(settings, dataset) == 2


def test_history_makes_no_online_store_and_a_rebuild_does(settings, tmp_path):
    PLAN.save(settings.plan_path)
    dataset = history(tmp_path)
    import_history(settings, dataset)
    assert not settings.online_location.exists()
    rebuild_online(settings)
    assert purchases_of_u1(settings, dataset) == 2
