"""The in-memory twin of the recommender, for tests of what stands around it: a fixed catalogue in a fixed order."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
from starlette.testclient import TestClient

from tastemaker.broker.memory import MemoryBroker
from tastemaker.names import TOPIC_SERVED_LISTS
from tastemaker.serving.app import create_app
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse, RecommendedItem, ServedList
from tastemaker.serving.data_plane import Answer
from tastemaker.serving.recipes import load_recipes
from tastemaker.serving.records import ListRecord
from tastemaker.serving.served_log import ServedListLog
from tastemaker.settings import Settings

CATALOGUE = {"mug": "MUG", "tea": "TEA, LOOSE", "cake": "CAKESTAND", "lamp": "LAMP Ω"}
KNOWN_USER = "17850"


class CatalogueRecommender:
    """Serves the catalogue in its order, scores 1, 1/2, 1/3, ...; other users than ``KNOWN_USER`` are cold starts."""

    release_id = "release-7"

    def __init__(self) -> None:
        self.made = 0
        self.recipes = load_recipes()
        self.refreshed = threading.Event()
        self.warmed = False
        self.threads: set[str] = set()
        self.failure: Exception | None = None
        self.gate = threading.Event()  # cleared, it holds every list back
        self.gate.set()

    def warm_up(self) -> None:
        self.warmed = True

    def refresh(self) -> None:
        self.refreshed.set()

    def knows_item(self, item_id: str) -> bool:
        return item_id in CATALOGUE

    def shed(self, request: RecommendationRequest, why: str) -> Answer:
        response, record = self._list(request)
        return msgspec.structs.replace(response, tier="popular", tier_reason=why), record

    def answer(self, request: RecommendationRequest, waited_ms: float = 0.0) -> Answer:
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        return self._list(request)

    def _list(self, request: RecommendationRequest) -> Answer:
        self.made += 1
        request_id = f"request-{self.made}"
        shown = [item_id for item_id in CATALOGUE if item_id not in request.exclude][: request.k]
        items = tuple(
            RecommendedItem(
                item_id=item_id, title=CATALOGUE[item_id], score=1 / place, source="trending", reason="Popular"
            )
            for place, item_id in enumerate(shown, 1)
        )
        known = request.user == KNOWN_USER
        tier, why = ("full", "") if known else ("cold_start", "this shopper has no history yet")
        response = RecommendationResponse(
            request_id=request_id, release=self.release_id, tier=tier, tier_reason=why, items=items
        )
        served = ServedList(
            request_id=request_id,
            served_at=datetime(2011, 12, 9, tzinfo=UTC),
            request=request,
            release=self.release_id,
            tier=tier,
            items=tuple(shown),
            propensities=(1.0,) * len(shown),
        )
        return response, ListRecord(request_id, request, {"log": 12}, lambda: served)


def wait_until(condition, what: str, timeout_s: float = 20.0) -> None:
    """Wait for another thread; fails with ``what`` when it never comes."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.005)


@contextmanager
def serving(
    recommender,
    broker: MemoryBroker | None = None,
    ready: bool = True,
    settings: Settings | None = None,
    wanted=lambda settings: "",
) -> Iterator[TestClient]:
    """A client of the application around a recommender, or around what a callable opens."""
    broker = broker or MemoryBroker({TOPIC_SERVED_LISTS: 1})
    open_recommender = recommender if callable(recommender) else lambda settings: recommender
    app = create_app(
        open_recommender,
        lambda: settings or Settings(api_keys="/nonexistent/keys.json"),  # whatever keys the checkout has
        lambda settings, metrics: ServedListLog(broker.producer, on_dropped=metrics.log_dropped.inc),
        wanted,
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        if ready:
            wait_until(lambda: app.state.plane.ready, "readiness")
        yield client
