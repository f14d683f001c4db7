import math
from pathlib import Path

import msgspec
import pytest

from tastemaker.errors import DataError
from tastemaker.features.layout import Measure, layout_of
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ServiceSpec, ViewPlan
from tastemaker.features.semantics import DAY_US


def plan(window_us: int = 7 * DAY_US, description: str = "", services: tuple[ServiceSpec, ...] = ()) -> FeaturePlan:
    features = (
        FeatureSpec(
            name="bought",
            dtype="int64",
            function="count",
            column="event_id",
            types=("purchase",),
            window_us=window_us,
            slide_us=DAY_US,
            default=0,
            description=description,
        ),
        FeatureSpec(name="since", dtype="float64", function="time_since_last", column="occurred_at", types=("view",)),
    )
    view = ViewPlan(
        name="by_user",
        kind="aggregate",
        entities=("user",),
        join_keys=("user_id",),
        features=features,
        table="events",
        timestamp_field="occurred_at",
    )
    return FeaturePlan(views=(view,), services=services)


def test_plan_survives_saving_and_loading(tmp_path: Path) -> None:
    service = ServiceSpec(name="ranking", features=(("by_user", "bought"),))
    saved = plan(services=(service,))
    saved.save(tmp_path / "deep" / "plan.json")
    loaded = FeaturePlan.load(tmp_path / "deep" / "plan.json")
    assert loaded == saved
    assert loaded.hash == saved.hash
    assert loaded.service("ranking") == service
    assert list(tmp_path.glob("deep/*")) == [tmp_path / "deep" / "plan.json"]


def test_hash_follows_the_definition_and_not_its_description() -> None:
    assert plan().hash != plan(window_us=8 * DAY_US).hash
    assert plan().views[0].signature != plan(window_us=8 * DAY_US).views[0].signature
    view = msgspec.structs.replace(plan().views[0], description="for people", owner="someone")
    assert view.signature == plan().views[0].signature
    assert plan(description="for people").state_hash == plan().state_hash


def test_services_do_not_touch_the_state() -> None:
    service = ServiceSpec(name="ranking", features=(("by_user", "bought"),))
    assert plan(services=(service,)).hash != plan().hash
    assert plan(services=(service,)).state_hash == plan().state_hash


def test_missing_default_of_a_float_is_nan_and_of_a_list_empty() -> None:
    bought, since = plan().views[0].features
    assert bought.default_value == 0
    assert isinstance(since.default_value, float)
    assert math.isnan(since.default_value)
    assert FeatureSpec(name="a", dtype="list[string]", column="type").default_value == []


def test_load_names_the_command_where_there_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="tastemaker features apply"):
        FeaturePlan.load(tmp_path / "plan.json")


def test_load_refuses_what_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"views": 3}')
    with pytest.raises(DataError, match="does not decode"):
        FeaturePlan.load(tmp_path / "plan.json")


def test_unknown_names_are_listed_with_the_known_ones() -> None:
    with pytest.raises(DataError, match="no view 'x'; it has by_user"):
        plan().view("x")
    with pytest.raises(DataError, match="no feature 'x'; it has bought, since"):
        plan().view("by_user").feature("x")
    with pytest.raises(DataError, match="no service 'x'"):
        plan().service("x")


def test_layout_shares_slots_and_reads_lifetimes_from_the_base_row() -> None:
    layout = layout_of(plan().views[0])
    # Slot 0: newest event of any type; 1: purchases; 2: newest view. One group of daily tiles, for slot 1.
    assert [(slot.op, slot.types) for slot in layout.slots] == [
        ("last", ("purchase", "view")),
        ("count", ("purchase",)),
        ("last", ("view",)),
    ]
    assert [(group.hop_us, group.horizon_us, group.slots) for group in layout.groups] == [(DAY_US, 7 * DAY_US, (1,))]
    assert layout.base_slots == (0, 2)
    # Measure 0: slot 0 ever; 1: slot 1's tiles over a week, in steps of a day; 2: slot 2 ever.
    assert layout.measures == (Measure(0), Measure(1, 0, 7 * DAY_US, DAY_US), Measure(2))
    assert layout.feature_measures == ((1,), (2,))
