"""Workers, broker, collector and store are killed under load; then every feature is what the batch says of the moment.

The long form is ``make bench NAME=faults``.
"""

from pathlib import Path

import pytest

from benchmarks.faults import run_faults
from tastemaker.broker.node import uses_standin
from tastemaker.settings import Settings

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize(("store", "kills"), [("sqlite", 3), ("redis", 3)])
def test_every_feature_equals_the_batch_after_kills_under_load(store, kills, prepared_home):
    if uses_standin(Settings(repository=REPOSITORY)):
        pytest.skip(
            "the stand-in broker may lose acknowledged events on a kill; Apache Kafka needs Java and `make setup`"
        )
    victims = ("worker-0", "broker", "worker-1") if store == "sqlite" else ("store", "worker-0", "collector")
    outcome = run_faults(store, kills, seed=7, repository=REPOSITORY, victims=victims, prepared=prepared_home)
    assert outcome.kills.total() == kills
    assert (outcome.lost, outcome.doubled, outcome.unknown) == (0, 0, 0)
    (found,) = outcome.comparisons
    assert found.examples == []
    assert found.mismatched == 0
    # The load was what it claims to be, with duplicates and corrections, and many entities were compared.
    assert outcome.sent > 0
    assert outcome.repeated > 0
    assert outcome.corrections > 0
    assert found.entities > 100
    assert found.values > 10 * found.features
