"""The comparison that ends a fault run finds what a fault would leave behind."""

from pathlib import Path

import msgspec
import pytest
from feature_histories import EDGES, NOW_US, PLAN, empty_lake
from feature_reference import Arrival
from feature_worker import StreamRun, consumed

from benchmarks.fault_check import compare
from tastemaker.settings import Settings

KEYED = [Arrival(arrival.event, NOW_US) for arrival in EDGES]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def run(settings: Settings) -> StreamRun:
    made = StreamRun(str(settings.online_location), PLAN, empty_lake(settings.lake_dir))
    made.apply_all(consumed(KEYED), 5)
    made.flush()
    return made


def test_same_events_on_both_sides_leave_no_mismatch(settings, run):
    found = compare(settings, PLAN, [NOW_US, NOW_US + 10**9])
    run.close()
    # One user, item and category; sessions of two events of three: one entity of each of the five views.
    assert found.entities == len(PLAN.views)
    assert found.features == sum(len(view.features) for view in PLAN.views)
    assert found.values == 2 * found.features
    assert found.mismatched == 0


def test_event_that_only_the_online_store_has_is_found(settings, run):
    twice = KEYED[10].event  # an hour old
    record = consumed([Arrival(msgspec.structs.replace(twice, event_id="again"), NOW_US)])[0]
    run.state.apply([record._replace(offset=1_000)], {record.partition: 1_001})
    run.close()
    found = compare(settings, PLAN, [NOW_US])
    assert found.mismatched > 0
    assert any("by_item.buys_3d" in example for example in found.examples)


def test_row_that_the_online_store_lost_is_found(settings, run):
    view = PLAN.view("by_user")
    with run.state.store.transaction() as tx:
        tx.delete(view.signature, ["u1"])
    run.close()
    found = compare(settings, PLAN, [NOW_US])
    assert found.entities == len(PLAN.views)
    assert 0 < found.mismatched <= len(view.features)
