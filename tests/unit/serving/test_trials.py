"""A candidate beside the champion: who gets its lists, what nobody sees, what becomes of it when it fails."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from api_twin import CatalogueRecommender, wait_until
from starlette.testclient import TestClient

from tastemaker.broker.memory import MemoryBroker
from tastemaker.errors import DataError, ServingError
from tastemaker.names import TOPIC_SERVED_LISTS
from tastemaker.release.split import assigned
from tastemaker.serving import trials as trials_module
from tastemaker.serving.app import create_app
from tastemaker.serving.contract import ServedList
from tastemaker.serving.served_log import ServedListLog
from tastemaker.serving.trial import WantedTrial
from tastemaker.settings import Settings


class Named(CatalogueRecommender):
    def __init__(self, release_id: str) -> None:
        super().__init__()
        self.release_id = release_id
        self.closed: set[str] = set()
        self.answering: set[str] = set()

    def answer(self, request, waited_ms=0.0):
        self.answering.add(threading.current_thread().name.split("_", maxsplit=1)[0])
        response, record = super().answer(request, waited_ms)
        served = record.build()
        request_id = f"{self.release_id}-{response.request_id}"
        response = msgspec.structs.replace(response, request_id=request_id)
        served = msgspec.structs.replace(served, request_id=request_id)
        return response, type(record)(request_id, request, record.stages_us, lambda: served)

    def close(self) -> None:
        self.closed.add(threading.current_thread().name.split("_", maxsplit=1)[0])


class Shop:
    """A recommender with champion r1, and what a test wants to be tried."""

    def __init__(self) -> None:
        self.champion = "r1"
        self.wanted: WantedTrial | None = None
        self.problems: dict[str, Exception] = {}
        self.damaged: Exception | None = None
        self.opened: list[Named] = []
        self.broker = MemoryBroker({TOPIC_SERVED_LISTS: 1})
        self.app = create_app(
            lambda settings: self.open(self.champion),
            lambda: Settings(api_keys="/nonexistent/keys.json"),
            lambda settings, metrics: ServedListLog(self.broker.producer),
            lambda settings: self.champion,
            wanted_trial=lambda settings: self._wanted(),
            open_release=lambda settings, name: self.open(name),
        )

    def _wanted(self) -> WantedTrial | None:
        if self.damaged:
            raise self.damaged
        return self.wanted

    def open(self, name: str) -> Named:
        if name in self.problems:
            raise self.problems[name]
        self.opened.append(Named(name))
        return self.opened[-1]

    def of(self, name: str) -> Named:
        return next(one for one in reversed(self.opened) if one.release_id == name)

    def try_(self, client, share: float, shadow: bool = False, candidate: str = "r2") -> None:
        self.wanted = WantedTrial(candidate, share, shadow)
        wait_until(lambda: told(client).get("trial", {}).get("state") == "on", "the trial")
        wait_until(lambda: told(client)["trial"]["share"] == share, "the share")

    def logged(self) -> list[ServedList]:
        consumer = self.broker.consumer()
        consumer.assign({TOPIC_SERVED_LISTS: {0: 0}})
        return [msgspec.json.decode(record.value, type=ServedList) for record in consumer.poll(100, 1_000)]


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def client(shop):
    with TestClient(shop.app, raise_server_exceptions=False) as client:
        wait_until(lambda: shop.app.state.plane.ready, "readiness")
        yield client


def told(client) -> dict:
    return client.get("/v1/release").json()


def ask(client, **fields) -> dict:
    answer = client.post("/v1/recommend", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_shoppers_are_divided_by_their_hash_and_stay_where_they_are(shop, client):
    shop.try_(client, 0.25)
    users = [f"u{n}" for n in range(60)]
    first = {user: ask(client, user=user)["release"] for user in users}
    assert first == {user: "r2" if assigned("r2", user, None, 0.25) else "r1" for user in users}
    assert set(first.values()) == {"r1", "r2"}
    assert {user: ask(client, user=user)["release"] for user in users} == first
    shop.try_(client, 0.5)
    more = {user: ask(client, user=user)["release"] for user in users}
    assert {user for user in users if first[user] == "r2"} < {user for user in users if more[user] == "r2"}


def test_who_is_not_known_by_a_user_is_assigned_by_the_visit_and_nobody_in_particular_gets_the_champion(shop, client):
    shop.try_(client, 1.0)
    assert ask(client, session="s1")["release"] == "r2"
    assert ask(client)["release"] == "r1"


def test_one_call_for_several_shoppers_gets_each_by_its_own_release(shop, client):
    shop.try_(client, 0.5)
    users = [f"u{n}" for n in range(12)]
    body = {"instances": [{"user": user, "k": 2} for user in users]}
    answer = client.post("/v1/models/recommender:predict", json=body).json()
    found = [one["release"] for one in answer["predictions"]]
    assert found == ["r2" if assigned("r2", user, None, 0.5) else "r1" for user in users]


def test_the_candidate_makes_its_lists_in_a_thread_of_its_own(shop, client):
    shop.try_(client, 1.0)
    shop.of("r2").answering.clear()
    ask(client, user="u1")
    assert shop.of("r2").answering == {"candidate"}


def test_a_shadow_is_logged_beside_the_list_that_was_seen_and_answers_nobody(shop, client):
    shop.try_(client, 0.0, shadow=True)
    seen = ask(client, user="u1")
    assert seen["release"] == "r1"
    wait_until(lambda: len(shop.logged()) == 2, "both lists in the log")
    by_release = {served.release: served for served in shop.logged()}
    assert by_release["r1"].shadow_of == ""
    assert by_release["r2"].shadow_of == seen["request_id"]
    assert by_release["r2"].request_id != seen["request_id"]
    text = client.get("/metrics").text
    assert 'tastemaker_trial_lists_total{release="r2",shadow="yes",tier="cold_start"} 1.0' in text
    assert 'tastemaker_trial_lists_total{release="r1",shadow="no",tier="cold_start"} 1.0' in text


def test_a_shadow_that_hangs_delays_nobody_and_further_ones_are_dropped(shop, client):
    shop.try_(client, 0.0, shadow=True)
    candidate = shop.of("r2")
    candidate.gate.clear()
    try:
        for number in range(30):
            assert ask(client, user=f"u{number}")["release"] == "r1"
        metrics = client.app.state.plane.metrics
        # One is in the making and seven wait: of 30, 22 are dropped.
        assert metrics.registry.get_sample_value("tastemaker_shadow_lists_dropped_total") == 22
    finally:
        candidate.gate.set()


def test_a_shadow_that_fails_is_logged_as_such(shop, client):
    shop.try_(client, 0.0, shadow=True)
    shop.of("r2").failure = RuntimeError("broken")
    seen = ask(client, user="u1")
    wait_until(lambda: len(shop.logged()) == 2, "both lists in the log")
    failed = next(served for served in shop.logged() if served.release == "r2")
    assert (failed.shadow_of, failed.stands_in_for, failed.items) == (seen["request_id"], "r2", ())


def test_where_the_candidate_fails_the_champion_answers_and_the_log_says_for_whom(shop, client):
    shop.try_(client, 1.0)
    shop.of("r2").failure = RuntimeError("broken")
    answer = ask(client, user="u1")
    assert answer["release"] == "r1"
    wait_until(shop.logged, "the list in the log")
    (served,) = shop.logged()
    assert (served.release, served.stands_in_for) == ("r1", "r2")
    assert (
        client.app.state.plane.metrics.registry.get_sample_value("tastemaker_trial_failures_total", {"release": "r2"})
        == 1
    )


def test_a_candidate_that_hangs_holds_up_its_own_shoppers_alone(shop, client):
    shop.try_(client, 0.5)
    candidate = shop.of("r2")
    candidate.gate.clear()
    try:
        users = [f"u{n}" for n in range(20)]
        with ThreadPoolExecutor(20) as callers:
            answers = dict(zip(users, callers.map(lambda user: ask(client, user=user), users), strict=True))
        for user, answer in answers.items():
            if assigned("r2", user, None, 0.5):
                assert (answer["release"], answer["tier"]) == ("r2", "popular")  # from what is at hand
            else:
                assert (answer["release"], answer["tier"]) == ("r1", "cold_start")
    finally:
        candidate.gate.set()


def test_the_end_of_a_trial_closes_the_candidate_and_fails_no_request(shop, client):
    shop.try_(client, 1.0)
    candidate = shop.of("r2")
    stop = threading.Event()
    found: list[str] = []

    def shopper() -> None:
        while not stop.is_set():
            found.append(ask(client, user="u1")["release"])

    thread = threading.Thread(target=shopper)
    thread.start()
    wait_until(lambda: "r2" in found, "a list of r2")
    shop.wanted = None
    wait_until(lambda: "trial" not in told(client), "the end of the trial")
    mark = len(found) + 1  # one may be under way
    wait_until(lambda: len(found) > mark + 5, "lists after it")
    stop.set()
    thread.join()
    assert set(found[mark:]) == {"r1"}
    wait_until(lambda: candidate.closed == {"candidate"}, "the end of the candidate")


def test_a_candidate_that_does_not_load_is_told_and_tried_again(shop, client, monkeypatch):
    client.app.state.plane._trials._retry_s = 0.01
    shop.problems["r2"] = ServingError("its ranker is not there")
    shop.wanted = WantedTrial("r2", 0.5, False)
    wait_until(lambda: told(client).get("trial", {}).get("state") == "failed", "the failure")
    assert told(client)["trial"]["problem"] == "its ranker is not there"
    assert ask(client, user="u2")["release"] == "r1"
    del shop.problems["r2"]
    wait_until(lambda: told(client)["trial"]["state"] == "on", "the trial")


def test_a_damaged_split_ends_the_trial_and_is_told(shop, client):
    shop.try_(client, 1.0)
    shop.damaged = DataError("split.json is damaged")
    wait_until(lambda: told(client)["trial"]["problem"] == "split.json is damaged", "the problem")
    assert ask(client, user="u1")["release"] == "r1"


def test_a_promoted_candidate_takes_over_as_it_is_and_a_rollback_takes_one_look(shop, client):
    shop.try_(client, 0.5)
    former, candidate = shop.of("r1"), shop.of("r2")
    shop.champion, shop.wanted = "r2", None
    wait_until(lambda: told(client)["release"] == "r2", "the promotion")
    assert client.app.state.plane.recommender is candidate  # not loaded again
    assert not former.closed
    shop.champion = "r1"
    wait_until(lambda: told(client)["release"] == "r1", "the rollback")
    assert client.app.state.plane.recommender is former
    assert [one.release_id for one in shop.opened] == ["r1", "r2"]


def test_a_former_champion_is_closed_when_nobody_has_gone_back_to_it_for_long(shop, client, monkeypatch):
    monkeypatch.setattr(trials_module, "_KEEP_S", 0.05)
    shop.try_(client, 0.5)
    former = shop.of("r1")
    shop.champion, shop.wanted = "r2", None
    wait_until(lambda: former.closed == {"recommender", "recommender-upkeep"}, "the end of the former champion")
    assert ask(client, user="u1")["release"] == "r2"


def test_another_champion_ends_the_trial(shop, client):
    shop.try_(client, 1.0)
    shop.champion, shop.wanted = "r3", None
    wait_until(lambda: told(client)["release"] == "r3", "the takeover")
    wait_until(lambda: shop.of("r2").closed == {"candidate"}, "the end of the candidate")
    assert ask(client, user="u1")["release"] == "r3"


def test_shutting_down_with_a_trial_finishes_what_was_begun(shop):
    with TestClient(shop.app) as client:
        wait_until(lambda: shop.app.state.plane.ready, "readiness")
        shop.try_(client, 1.0)
        candidate = shop.of("r2")
        candidate.recipes = {
            name: recipe.model_copy(update={"budget": recipe.budget.model_copy(update={"total": 60_000})})
            for name, recipe in candidate.recipes.items()
        }
        candidate.gate.clear()
        with ThreadPoolExecutor(1) as callers:
            waiting = callers.submit(ask, client, user="u1")
            wait_until(lambda: shop.app.state.plane._serving.trial.candidate.lane.busy_since is not None, "a list")
            stopping = threading.Thread(target=shop.app.state.plane.stop)
            stopping.start()
            time.sleep(0.05)
            candidate.gate.set()
            assert waiting.result()["release"] == "r2"
            stopping.join(30)
