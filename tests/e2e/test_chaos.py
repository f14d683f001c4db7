"""Store and broker are killed and stand still under load; a valid list comes all the same, in time, and names its tier.

The long form, with every part of the platform, is ``make bench NAME=chaos``.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.chaos_faults import Fault, faults_of_one
from benchmarks.chaos_run import broken
from benchmarks.chaos_stack import ChaosStack, chaos_stack
from benchmarks.chaos_table import DEGRADED, Row
from tastemaker.broker.node import uses_standin
from tastemaker.settings import Settings
from tests.contract.served_release import copy_small_release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).parents[2]
# A store that stands still is given up after a second, and asked once more: whoever waited for that is later than this.
DEADLINE_MS = 1_000.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosStack]:
    if uses_standin(Settings(repository=REPOSITORY)):
        pytest.skip("the stand-in broker is not what is broken here; Apache Kafka needs Java and `make setup`")
    settings, release = copy_small_release(tmp_path_factory.mktemp("chaos") / "home", REPOSITORY)
    offset = {"repository": REPOSITORY, "clock_offset_us": settings.clock_offset_us}
    with chaos_stack(settings.home, release, **offset) as stack:
        stack.add_recommender("recommender")
        stack.start_and_wait("recommender")
        yield stack


def _row(stack: ChaosStack, part: str, how: str) -> Row:
    (fault,) = [one for one in faults_of_one() if (one.part, one.how) == (part, how)]
    wanted: Fault = replace(fault, fed=False)
    (row,) = broken(stack, ["recommender"], [wanted], seconds=3.0, per_second=40.0, deadline_ms=DEADLINE_MS)
    assert len(row.under) > 80
    return row


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_without_the_store_every_list_is_valid_and_in_time_and_of_a_lower_tier_until_it_is_back(stack, how):
    row = _row(stack, "online store", how)
    assert row.problems == {}
    assert row.in_time == 1.0
    assert row.tiers.keys() & {"cached", "popular"}
    # What is left of them once the breaker has opened: whoever asks in the second half of the fault knows of it.
    later = row.under[len(row.under) // 2 :]
    assert {one.tier for one in later} <= {"cached", "popular"}
    assert math.isfinite(row.full_s)
    assert row.answers[-1].tier not in DEGRADED


def test_broker_that_stands_still_costs_no_list(stack):
    row = _row(stack, "broker", "paused")
    assert row.problems == {}
    assert row.in_time == 1.0
    # All stages run meanwhile; a lower tier between them is that of a machine that has too much to do.
    assert "full" in {one.tier for one in row.under[len(row.under) // 2 :]}
