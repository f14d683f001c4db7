"""Each metric says what happened: its value after known requests."""

import time

import msgspec
import pytest
from api_twin import KNOWN_USER, CatalogueRecommender, serving, wait_until

from tastemaker.serving.any_recommender import Answer
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.metrics import ServingMetrics


class Measured:
    """A client, and what its requests did to the metrics."""

    def __init__(self, client) -> None:
        self.client = client
        self._metrics: ServingMetrics = client.app.state.plane.metrics

    def value(self, name: str, **labels: str) -> float:
        return self._metrics.registry.get_sample_value(name, labels) or 0.0

    def ask(self, **body) -> dict:
        return self.client.post("/v1/recommend", json=body).json()


@pytest.fixture
def measured():
    with serving(CatalogueRecommender()) as client:
        yield Measured(client)


def test_lists_by_surface_and_tier(measured):
    measured.ask(user=KNOWN_USER)
    measured.ask()
    measured.ask(surface="email")
    assert measured.value("tastemaker_lists_total", surface="home", tier="full") == 1
    assert measured.value("tastemaker_lists_total", surface="home", tier="cold_start") == 1
    assert measured.value("tastemaker_lists_total", surface="email", tier="cold_start") == 1


def test_stages_in_seconds(measured):
    measured.ask()
    measured.ask()
    assert measured.value("tastemaker_stage_seconds_count", stage="log") == 2
    assert measured.value("tastemaker_stage_seconds_sum", stage="log") == pytest.approx(2 * 12e-6)  # 12 µs each
    assert measured.value("tastemaker_stage_seconds_bucket", stage="log", le="3e-05") == 2


def test_requests_by_endpoint_and_errors_by_status(measured):
    measured.ask()
    measured.ask(k=0)
    measured.client.get("/v1/release")
    assert measured.value("tastemaker_request_seconds_count", endpoint="recommend") == 2
    assert measured.value("tastemaker_request_seconds_count", endpoint="release") == 1
    assert measured.value("tastemaker_request_errors_total", endpoint="recommend", code="422") == 1


def test_items_by_source_and_empty_lists(measured):
    measured.ask(k=3)
    measured.ask(k=1)
    measured.ask(exclude=["mug", "tea", "cake", "lamp"])
    assert measured.value("tastemaker_items_shown_total", source="trending") == 4
    assert measured.value("tastemaker_empty_lists_total") == 1


def test_stale_features_and_repeats():
    metrics = ServingMetrics()

    def answered(kept: str, stale: tuple[str, ...]) -> Answer:
        response, record = CatalogueRecommender().answer(RecommendationRequest())
        object.__setattr__(record, "kept", kept)
        return msgspec.structs.replace(response, stale=stale), record

    for kept, stale in (("hit", ()), ("hit", ("item_activity",)), ("miss", ()), ("", ())):
        metrics.count_list("home", *answered(kept, stale))
    value = metrics.registry.get_sample_value
    assert value("tastemaker_stale_lists_total") == 1
    assert [value("tastemaker_repeats_total", {"outcome": outcome}) for outcome in ("hit", "miss")] == [2, 1]
    assert value("tastemaker_repeats_total", {"outcome": "changed"}) is None


def test_age_of_what_is_known_grows_while_the_look_fails():
    class Failing(CatalogueRecommender):
        failing = False

        def refresh(self):
            super().refresh()
            if self.failing:
                raise OSError("the store is locked")

    recommender = Failing()
    with serving(recommender) as client:
        measured = Measured(client)
        wait_until(recommender.refreshed.is_set, "a look")
        young = measured.value("tastemaker_refresh_age_seconds")
        recommender.failing = True
        wait_until(lambda: measured.value("tastemaker_refresh_failures_total") >= 1, "a failed look")
        failed = time.monotonic()
        wait_until(lambda: time.monotonic() > failed + 0.6, "another one")  # two looks are half a second apart
        old = measured.value("tastemaker_refresh_age_seconds")
        assert old > 0.6
        recommender.failing = False
        wait_until(lambda: measured.value("tastemaker_refresh_age_seconds") < old, "a look that succeeds")
    assert 0 <= young < 20


def test_the_log_and_the_lists_under_way(measured):
    measured.ask()
    wait_until(lambda: measured.client.app.state.plane._log.waiting == 0, "the log")
    assert measured.value("tastemaker_lists_in_flight") == 0
    assert measured.value("tastemaker_served_log_dropped_total") == 0
    assert measured.value("tastemaker_release", release="release-7") == 1
    assert measured.value("tastemaker_release_pending") == 0
