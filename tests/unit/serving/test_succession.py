"""Another release takes over while requests are answered: none fails, and each answer is of one of the two."""

import gc
import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree

import pytest
from api_twin import CatalogueRecommender, serving, wait_until
from recommender_shop import CUT, Shop, StoppedClock

from tastemaker.clock import to_us
from tastemaker.errors import ServingError
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.serving import succession
from tastemaker.serving.app import create_app
from tastemaker.serving.recommender import Recommender


class Named(CatalogueRecommender):
    """Has the name of a release, and may be closed."""

    def __init__(self, release_id: str) -> None:
        super().__init__()
        self.release_id = release_id
        self.closed: set[str] = set()

    def close(self) -> None:
        self.closed.add(threading.current_thread().name.split("_", maxsplit=1)[0])


class Pointer:
    """Names the release that is wanted, and opens it."""

    def __init__(self, name: str) -> None:
        self.name, self.opening = name, ""
        self.opened: list[Named] = []
        self.problems: dict[str, Exception] = {}
        self.may_open = threading.Event()
        self.may_open.set()

    def wanted(self, settings=None) -> str:
        return self.name

    def open(self, settings=None) -> Named:
        name = self.opening = self.name
        assert self.may_open.wait(30)
        if name in self.problems:
            raise self.problems[name]
        self.opened.append(Named(name))
        return self.opened[-1]


def told(client) -> dict:
    return client.get("/v1/release").json()


def test_the_former_release_answers_until_the_next_one_is_warm_and_is_closed_after_its_last_list():
    pointer = Pointer("r1")
    with serving(pointer.open, wanted=pointer.wanted) as client, ThreadPoolExecutor(2) as callers:
        (former,) = pointer.opened
        former.recipes = {
            name: recipe.model_copy(update={"budget": recipe.budget.model_copy(update={"total": 60_000})})
            for name, recipe in former.recipes.items()
        }
        pointer.may_open.clear()
        pointer.name = "r2"
        wait_until(lambda: "successor" in told(client), "a load that is begun")
        assert told(client)["successor"] == {"name": "r2", "state": "loading", "problem": ""}
        assert client.get("/v1/recommend").json()["release"] == "r1"
        assert "tastemaker_release_pending 1.0" in client.get("/metrics").text
        pointer.may_open.set()
        wait_until(lambda: told(client)["release"] == "r2", "the takeover")
        assert pointer.opened[1].warmed
        assert client.get("/v1/recommend").json()["release"] == "r2"
        wait_until(lambda: former.closed == {"recommender", "recommender-upkeep"}, "the end of the former one")
        assert "successor" not in told(client)
        text = client.get("/metrics").text
        assert 'tastemaker_release{release="r2"} 1.0' in text
        assert 'tastemaker_release{release="r1"} 0.0' in text
        assert 'tastemaker_release_swaps_total{outcome="done"} 1.0' in text
        assert "tastemaker_release_pending 0.0" in text
        # A list of r2 that is in the making while r3 takes over is r2's, and keeps r2 open.
        second = pointer.opened[1]
        second.recipes = former.recipes
        second.gate.clear()
        waiting = callers.submit(client.get, "/v1/recommend")
        wait_until(lambda: client.app.state.plane._lane.busy_since is not None, "a list in the making")
        serving_second = client.app.state.plane._serving
        assert serving_second.users == 1
        succession_of = client.app.state.plane._succession
        succession_of._retired.append(serving_second)
        succession_of._close_retired()
        assert not second.closed
        succession_of._retired.clear()
        second.gate.set()
        assert waiting.result().json()["release"] == "r2"


def test_a_release_that_does_not_load_leaves_the_former_one_in_place_and_is_told(caplog, monkeypatch):
    monkeypatch.setattr(succession, "_MAX_PAUSE_S", 0.01)
    pointer = Pointer("r1")
    pointer.problems["r2"] = ServingError("its ranker is not there")
    with serving(pointer.open, wanted=pointer.wanted) as client, caplog.at_level(logging.WARNING):
        client.app.state.plane._succession._retry_s = 0.01
        pointer.name = "r2"
        wait_until(lambda: told(client).get("successor", {}).get("state") == "failed", "a failed load")
        assert told(client)["release"] == client.get("/v1/recommend").json()["release"] == "r1"
        assert told(client)["successor"]["problem"] == "its ranker is not there"
        swaps = 'tastemaker_release_swaps_total{outcome="failed"} '
        wait_until(lambda: f"{swaps}2.0" in client.get("/metrics").text, "another attempt")
        assert "tastemaker_release_pending 1.0" in client.get("/metrics").text
        warnings = [record for record in caplog.records if "cannot take over" in record.message]
        assert len(warnings) == 1  # said once, not at every attempt
        assert "r2" in warnings[0].message
        pointer.name = "r1"  # rolled back
        wait_until(lambda: "successor" not in told(client), "the rollback")
        assert "tastemaker_release_pending 0.0" in client.get("/metrics").text
        pointer.problems.clear()
        pointer.name = "r2"
        wait_until(lambda: told(client)["release"] == "r2", "the takeover of the mended release")
    assert [one.release_id for one in pointer.opened] == ["r1", "r2"]


def test_a_pointer_that_cannot_be_read_changes_nothing(caplog):
    pointer = Pointer("r1")
    damaged: list[Exception] = []

    def wanted(settings):
        if damaged:
            raise damaged[0]
        return pointer.name

    with serving(pointer.open, wanted=wanted) as client:
        damaged.append(ServingError("the pointer is damaged"))
        wait_until(lambda: "successor" in told(client), "a look at the pointer")
        assert told(client)["successor"]["problem"] == "the pointer is damaged"
        assert client.get("/v1/recommend").json()["release"] == "r1"
        damaged.clear()
        wait_until(lambda: "successor" not in told(client), "the mended pointer")


def test_a_pointer_that_moves_on_during_a_load_is_followed_to_its_end():
    pointer = Pointer("r1")
    with serving(pointer.open, wanted=pointer.wanted) as client:
        pointer.may_open.clear()
        pointer.name = "r2"
        wait_until(lambda: told(client).get("successor"), "a load of r2")
        wait_until(lambda: pointer.opening == "r2", "the opening of r2")
        pointer.name = "r3"
        pointer.may_open.set()
        wait_until(lambda: told(client)["release"] == "r3", "the takeover of r3")
        assert client.get("/v1/recommend").json()["release"] == "r3"


@pytest.fixture
def two_releases(shop: Shop, tmp_path: Path) -> tuple[Path, Path]:
    """An online store, and a folder with the shop's release under two names."""
    releases = tmp_path / "releases"
    for name in ("r1", "r2"):
        copytree(shop.trained.directory, releases / name)
    online = tmp_path / "online.sqlite"
    state = FeatureState.open(online, FeaturePlan.load(shop.settings.plan_path))
    state.bootstrap(Lake(shop.settings.lake_dir))
    state.close()
    return online, releases


def test_under_load_every_answer_is_whole_and_of_one_of_two_releases_then_of_the_new_one_alone(shop, two_releases):
    online, releases = two_releases
    pointer = Pointer("r1")
    made: list[weakref.ref[Recommender]] = []
    parts: list[weakref.ref] = []

    def open_recommender(settings):
        reader = FeatureReader(online, FeaturePlan.load(shop.settings.plan_path))
        recommender = Recommender(releases / pointer.name, reader, StoppedClock(to_us(CUT)))
        made.append(weakref.ref(recommender))
        parts.extend(map(weakref.ref, (recommender._release, recommender._state, recommender._items, reader)))
        return recommender

    asked = 400
    with serving(open_recommender, wanted=pointer.wanted) as client, ThreadPoolExecutor(8) as callers:
        began = threading.Event()

        def ask(number: int) -> tuple[int, dict]:
            if number == asked // 4:
                pointer.name = "r2"
                began.set()
            if number == asked - 20:  # the last ones are asked when it has taken over
                wait_until(lambda: client.app.state.plane.recommender.release_id == "r2", "the takeover")
            response = client.post("/v1/recommend", json={"user": f"u{number % 80}", "k": 5})
            return response.status_code, response.json()

        answers = list(callers.map(ask, range(asked)))
        assert began.is_set()
        after = [client.post("/v1/recommend", json={"user": f"u{n}", "k": 5}).json() for n in range(8)]
        assert {status for status, _ in answers} == {200}
        assert {answer["release"] for _, answer in answers} == {"r1", "r2"}
        assert all(len(answer["items"]) == 5 for _, answer in answers)
        assert len({answer["request_id"] for _, answer in answers}) == asked
        assert {answer["release"] for answer in after} == {"r2"}
        # The releases are alike, so a shopper's lists by both are: the takeover changed nothing else.
        by_release: dict[tuple[str, str], list[str]] = {}
        for number, (_, answer) in enumerate(answers):
            if answer["tier"] == "full":
                items = [item["item_id"] for item in answer["items"]]
                assert by_release.setdefault((f"u{number % 80}", answer["release"]), items) == items
        both = [user for user, release in by_release if release == "r1" and (user, "r2") in by_release]
        assert both
        assert all(by_release[user, "r1"] == by_release[user, "r2"] for user in both)
        # The former one is freed without the collector, which does not look at what has served for long.
        gc.disable()
        try:
            wait_until(lambda: made[0]() is None, "the end of the former recommender")
            assert [part() for part in parts[:4]] == [None] * 4
        finally:
            gc.enable()
        assert made[1]() is not None


def test_without_a_pointer_nothing_is_opened_twice():
    opened: list[Named] = []

    def open_recommender(settings):
        opened.append(Named("only"))
        return opened[-1]

    app = create_app(open_recommender)
    assert app.state.plane.successor is None
    with serving(open_recommender) as client:
        opened[-1].refreshed.clear()
        wait_until(opened[-1].refreshed.is_set, "a look")
        assert client.get("/v1/recommend").json()["release"] == "only"
    assert len(opened) == 1
