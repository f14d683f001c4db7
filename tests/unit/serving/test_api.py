"""The JSON API: lists, refusals that name the field, overload, start and stop."""

import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from api_twin import KNOWN_USER, CatalogueRecommender, serving, wait_until

from tastemaker.broker.memory import MemoryBroker
from tastemaker.errors import ContractError, ServingError
from tastemaker.names import TOPIC_SERVED_LISTS
from tastemaker.serving.contract import RecommendationResponse, ServedList
from tastemaker.serving.http import MAX_BODY_BYTES


@pytest.fixture(scope="module")
def client():
    with serving(CatalogueRecommender()) as client:
        yield client


def error_of(response, status: int) -> dict:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"field", "problem", "remedy"}
    assert error["problem"]
    assert error["remedy"]
    return error


def test_post_answers_a_list(client):
    response = client.post("/v1/recommend", json={"user": KNOWN_USER, "k": 2})
    assert response.status_code == 200
    answer = msgspec.json.decode(response.content, type=RecommendationResponse)
    # the catalogue's order; scores 1/1 and 1/2
    assert [(item.item_id, item.score) for item in answer.items] == [("mug", 1.0), ("tea", 0.5)]
    assert (answer.release, answer.tier) == ("release-7", "full")


def test_get_answers_the_same_list(client):
    by_get = client.get(
        "/v1/recommend", params={"user": KNOWN_USER, "k": "2", "surface": "home", "explain": "false"}
    ).json()
    by_post = client.post("/v1/recommend", json={"user": KNOWN_USER, "k": 2}).json()
    assert by_get["items"] == by_post["items"]


def test_get_exclude_may_be_repeated(client):
    answer = client.get("/v1/recommend?exclude=mug&exclude=tea").json()
    assert [item["item_id"] for item in answer["items"]] == ["cake", "lamp"]


def test_unknown_user_gets_a_cold_start_list_that_says_so(client):
    answer = client.post("/v1/recommend", json={"user": "nobody has seen me"}).json()
    assert answer["tier"] == "cold_start"
    assert "no history" in answer["tier_reason"]
    assert len(answer["items"]) == 4


def test_empty_list_still_has_items(client):
    everything = ["mug", "tea", "cake", "lamp"]
    answer = client.post("/v1/recommend", json={"user": KNOWN_USER, "exclude": everything}).json()
    assert answer["items"] == []
    assert answer["release"] == "release-7"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"surface": "attic"}, "surface"),
        ({"k": 0}, "k"),
        ({"k": 101}, "k"),
        ({"k": "ten"}, "k"),
        ({"user": 17850}, "user"),
        ({"user": ""}, "user"),
        ({"user": "x" * 257}, "user"),
        ({"exclude": ["mug", "unheard of"]}, "exclude[1]"),
        ({"exclude": ["mug", 3]}, "exclude[1]"),
        ({"context": {"device": 3}}, "context.device"),
        ({"context": {"colour": "red"}}, "context.colour"),
        ({"usr": "17850"}, "usr"),
        ({"explain": "yes"}, "explain"),
    ],
)
def test_broken_contract_is_422_and_names_the_field(client, body, field):
    assert error_of(client.post("/v1/recommend", json=body), 422)["field"] == field


def test_unknown_surface_is_told_the_known_ones(client):
    error = error_of(client.post("/v1/recommend", json={"surface": "attic"}), 422)
    assert "attic" in error["problem"]
    assert "home" in error["remedy"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("k=0", "k"),
        ("k=many", "k"),
        ("surface=attic", "surface"),
        ("exclude=unheard", "exclude[0]"),
        ("explain=maybe", "explain"),
        ("usr=1", "usr"),
        ("user=1&user=2", "user"),
    ],
)
def test_query_parameter_out_of_contract_is_422(client, query, field):
    assert error_of(client.get(f"/v1/recommend?{query}"), 422)["field"] == field


@pytest.mark.parametrize(
    "body", [b"{", b"", b"\xff\xfe", b'{"user": "a}', b'{"k": 3} trailing', b'{"user": "\\ud800"}']
)
def test_malformed_json_is_400(client, body):
    error = error_of(client.post("/v1/recommend", content=body, headers={"content-type": "application/json"}), 400)
    assert "JSON" in error["problem"]


@pytest.mark.parametrize("body", [b"[]", b"3", b"null"])
def test_json_that_is_no_object_is_422(client, body):
    error_of(client.post("/v1/recommend", content=body, headers={"content-type": "application/json"}), 422)


def test_body_beyond_the_limit_is_413_by_its_length(client):
    error_of(client.post("/v1/recommend", json={"user": "x" * MAX_BODY_BYTES}), 413)


def test_chunked_body_beyond_the_limit_is_413(client):
    chunks = (b"x" * 65536 for _ in range(MAX_BODY_BYTES // 65536 + 2))
    headers = {"content-type": "application/json"}
    error_of(client.post("/v1/recommend", content=chunks, headers=headers), 413)


def test_other_media_type_is_415(client):
    error = error_of(client.post("/v1/recommend", data={"user": "17850"}), 415)
    assert error["field"] == "content-type"
    assert "application/json" in error["remedy"]


def test_media_type_may_carry_a_charset(client):
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post("/v1/recommend", content=b"{}", headers=headers).status_code == 200


def test_unknown_path_is_404(client):
    assert error_of(client.get("/v1/recommendations"), 404)["field"] == "path"


def test_wrong_method_is_405_and_tells_the_right_ones(client):
    error = error_of(client.delete("/v1/recommend"), 405)
    assert error["field"] == "method"
    assert "GET, HEAD, POST" in error["remedy"]


def test_release_tells_id_and_surfaces(client):
    answer = client.get("/v1/release").json()
    assert answer["release"] == "release-7"
    assert next(iter(answer["surfaces"])) == "home"
    assert answer["surfaces"]["similar"]["requires"] == ["items"]


def test_lists_are_made_in_one_thread_of_their_own():
    recommender = CatalogueRecommender()
    with serving(recommender) as client, ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda _: client.get("/v1/recommend").status_code, range(12)))
    assert answers == [200] * 12
    assert len(recommender.threads) == 1
    assert next(iter(recommender.threads)).startswith("recommender")


def test_an_error_of_the_recommender_is_500_and_nothing_stops():
    recommender = CatalogueRecommender()
    with serving(recommender) as client:
        recommender.failure = ZeroDivisionError("details for the log alone")
        response = client.get("/v1/recommend")
        error_of(response, 500)
        assert "details" not in response.text
        recommender.failure = ServingError("the online store does not answer")
        response = client.get("/v1/recommend")
        assert "online store" in error_of(response, 503)["problem"]
        assert int(response.headers["retry-after"]) > 0
        recommender.failure = ContractError("context.query", "is required by this surface")
        assert error_of(client.get("/v1/recommend"), 422)["field"] == "context.query"
        recommender.failure = None
        assert client.get("/v1/recommend").status_code == 200


def test_overload_is_answered_at_once_from_what_is_at_hand_and_passes():
    recommender = CatalogueRecommender()
    patient = {name: slow(recipe, total=60_000, queue=60_000) for name, recipe in recommender.recipes.items()}
    recommender.recipes = patient
    with serving(recommender) as client, ThreadPoolExecutor(64) as callers:
        recommender.gate.clear()
        waiting = [callers.submit(client.get, "/v1/recommend") for _ in range(64)]
        plane = client.app.state.plane
        wait_until(lambda: plane._lane.waiting == 64, "a full queue")
        shed = client.get("/v1/recommend")
        recommender.gate.set()
        assert (shed.status_code, shed.json()["tier"]) == (200, "popular")
        assert "overloaded" in shed.json()["tier_reason"]
        assert shed.json()["items"]
        assert {future.result().json()["tier"] for future in waiting} == {"cold_start"}
        assert client.get("/v1/recommend").json()["tier"] == "cold_start"


def test_a_list_that_is_not_there_in_time_is_answered_from_what_is_at_hand():
    recommender = CatalogueRecommender()
    with serving(recommender) as client:
        recommender.recipes = {"home": slow(recommender.recipes["home"], total=50, queue=60_000)}
        recommender.gate.clear()
        first = client.get("/v1/recommend").json()
        assert (first["tier"], "within the budget of 50 ms" in first["tier_reason"]) == ("popular", True)
        lane = client.app.state.plane._lane
        wait_until(lambda: time.monotonic() - (lane.busy_since or time.monotonic()) > 0.05, "a stuck list")
        second = client.get("/v1/recommend").json()
        assert second["tier"] == "popular"
        assert "in the making" in second["tier_reason"]
        recommender.gate.set()
        wait_until(lambda: client.app.state.plane._lane.busy_since is None, "the end of the first list")
        assert client.get("/v1/recommend").json()["tier"] == "cold_start"


def test_a_list_that_waited_too_long_for_its_turn_is_given_up_though_the_one_before_is_still_in_the_making():
    recommender = CatalogueRecommender()
    with serving(recommender) as client, ThreadPoolExecutor(1) as callers:
        plane, home = client.app.state.plane, recommender.recipes["home"]
        recommender.recipes = {"home": slow(home, total=60_000, queue=60_000)}
        recommender.gate.clear()
        before = recommender.made
        first = callers.submit(client.get, "/v1/recommend")
        wait_until(lambda: plane._lane.busy_since is not None, "a list in the making")
        recommender.recipes = {"home": slow(home, total=60_000, queue=1)}
        second = client.get("/v1/recommend").json()
        recommender.gate.set()
        assert first.result().json()["tier"] == "cold_start"
    assert (second["tier"], "for its turn" in second["tier_reason"]) == ("popular", True)
    assert recommender.made == before + 2  # nobody made the second from scratch when its turn came


def slow(recipe, **budget):
    """The recipe with another budget, in milliseconds."""
    return recipe.model_copy(update={"budget": recipe.budget.model_copy(update=budget)})


def test_no_release_is_503_and_a_later_load_makes_it_ready():
    recommender = CatalogueRecommender()
    attempts = []

    def open_recommender(settings):
        attempts.append(1)
        if len(attempts) < 2:
            raise ServingError("no release in the store yet")
        return recommender

    with serving(open_recommender, ready=False) as client:
        plane = client.app.state.plane
        wait_until(lambda: "no release in the store" in plane.why_not_ready, "a failed load")
        response = client.get("/v1/recommend")
        assert "no release in the store" in error_of(response, 503)["problem"]
        assert int(response.headers["retry-after"]) > 0
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/").json()["status"] == "alive"
        wait_until(lambda: plane.ready, "the second load")
        assert client.get("/v2/health/ready").json() == {"ready": True}
        assert recommender.warmed
        assert client.get("/v1/recommend").status_code == 200


def test_refresh_goes_on_after_it_failed():
    recommender = CatalogueRecommender()

    class Failing(CatalogueRecommender):
        def refresh(self):
            self.refreshed.set()
            raise OSError("the store is locked")

    failing = Failing()
    with serving(failing) as client:
        wait_until(failing.refreshed.is_set, "a refresh")
        failing.refreshed.clear()
        wait_until(failing.refreshed.is_set, "another refresh")
        assert client.get("/v1/recommend").status_code == 200
        assert "tastemaker_refresh_failures_total" in client.get("/metrics").text
    assert not recommender.refreshed.is_set()


def test_answers_reach_the_served_list_log():
    broker = MemoryBroker({TOPIC_SERVED_LISTS: 1})
    with serving(CatalogueRecommender(), broker) as client:
        answer = client.post("/v1/recommend", json={"user": KNOWN_USER, "session": "s1", "k": 2}).json()
        client.post("/v1/recommend", json={"surface": "attic"})
        client.post("/v1/models/recommender:predict", json={"instances": [{"session": "s2"}]})
    (records,) = broker.logs(TOPIC_SERVED_LISTS)  # the shutdown has flushed; warm-up and refusals left nothing
    assert [record.key for record in records] == [b"17850", b"s2"]
    served = msgspec.json.decode(records[0].value, type=ServedList)
    assert served.request_id == answer["request_id"]
    assert list(served.items) == [item["item_id"] for item in answer["items"]]


def test_metrics_count_by_name_and_never_by_path(client):
    client.get("/v1/recommend")
    client.get("/attack/../../etc/passwd-1234")
    client.post("/v1/recommend", json={"k": 0})
    text = client.get("/metrics").text
    assert 'tastemaker_request_seconds_count{endpoint="recommend"}' in text
    assert 'tastemaker_request_errors_total{code="422",endpoint="recommend"}' in text
    assert 'tastemaker_request_errors_total{code="404",endpoint="unknown"}' in text
    assert 'tastemaker_lists_total{surface="home",tier="cold_start"}' in text
    assert 'tastemaker_release{release="release-7"} 1.0' in text
    assert "passwd" not in text


def test_empty_lists_are_counted():
    with serving(CatalogueRecommender()) as client:
        client.post("/v1/recommend", json={"exclude": ["mug", "tea", "cake", "lamp"]})
        client.get("/v1/recommend")
        assert "tastemaker_empty_lists_total 1.0" in client.get("/metrics").text
