"""Figures of the running workers, from what they tell Prometheus."""

import pytest
from prometheus_client import generate_latest

from tastemaker.cli.worker_figures import WorkerFigures, figures_of, worker_figures
from tastemaker.settings import Settings
from tastemaker.stream.worker_metrics import WorkerMetrics
from tests.unit.features.audit_lake import PLAN


def text_of(lag: int, late: int) -> str:
    metrics = WorkerMetrics(PLAN.views)
    metrics.ends({"events": {0: lag + 5}}, {"events": {0: 5}})
    metrics.late([("purchase", 31 * 86_400_000_000)] * late)
    return generate_latest(metrics.registry).decode()


def test_figures_of_two_workers_are_added() -> None:
    found = figures_of([text_of(lag=3, late=1), text_of(lag=4, late=2)])
    assert (found.workers, found.lag) == (2, 7)
    assert found.late["by_user"] == 3
    assert found.freshness_s("by_user", 0.99) is None  # no event yet
    assert found.freshness_s("of no worker", 0.99) is None


@pytest.mark.parametrize(("share", "bound"), [(0.5, 0.01), (0.95, 0.1), (0.99, float("inf"))])
def test_freshness_is_the_bound_that_holds_the_share(share: float, bound: float) -> None:
    # Of 100 events 60 within 10 ms, 97 within 100 ms.
    figures = WorkerFigures(1, 0, {}, {"v": {0.01: 60.0, 0.1: 97.0, float("inf"): 100.0}})
    assert figures.freshness_s("v", share) == bound


def test_nobody_answers() -> None:
    assert worker_figures(Settings(worker_metrics_port=1)) is None
