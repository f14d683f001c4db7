"""The gate in front of the real applications: what is public, what needs which scope, what a refusal looks like."""

import logging
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from api_twin import CatalogueRecommender, serving
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tastemaker.broker.memory import MemoryBroker
from tastemaker.clock import Clock
from tastemaker.names import TOPIC_EVENTS, TOPIC_ITEMS
from tastemaker.serving.access.install import install_access
from tastemaker.serving.access.key_file import create_key
from tastemaker.serving.access.keys import Scope
from tastemaker.serving.access.limits import MAX_HEADER_BYTES, MAX_HEADERS, MAX_TARGET_BYTES
from tastemaker.serving.access.scopes import collector_scope, recommender_scope
from tastemaker.settings import Settings
from tastemaker.stream.app import create_app
from tastemaker.stream.catalogue import Catalogue


@pytest.fixture(scope="module")
def keys():
    """A file of keys, one for each scope without limit, and one with a burst of two."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "keys.json"
        made = {scope.value: create_key(path, scope.value, [scope], now_us=0, rate=0, burst=1)[1] for scope in Scope}
        made["slow"] = create_key(path, "slow", [Scope.RECOMMEND], now_us=0, rate=0.001, burst=2)[1]
        made["lists"] = create_key(path, "lists", [Scope.RECOMMEND], now_us=0, rate=0.001, burst=10)[1]
        yield Settings(home=Path(directory), api_keys=str(path)), made


@pytest.fixture(scope="module")
def recommender(keys):
    with serving(CatalogueRecommender(), settings=keys[0]) as client:
        yield client


@pytest.fixture(scope="module")
def collector(keys):
    broker = MemoryBroker({TOPIC_EVENTS: 1, TOPIC_ITEMS: 1})
    app = create_app(
        broker.producer(), Catalogue(broker.consumer, ()), clock=Clock(), settings=keys[0], reject_unknown_items=False
    )
    with TestClient(app) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"])
def test_probes_and_pages_need_no_key(recommender, path):
    assert recommender.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/recommend", "/v1/release", "/v1/models/recommender", "/v2", "/v2/models/recommender", "/metrics"]
)
def test_everything_else_does(recommender, path):
    answer = recommender.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["//v1/recommend", "/metrics/", "/nothing", "/v1/admin/reload", "", "/Docs"])
def test_a_path_that_nobody_thought_of_is_the_administrators(path):
    assert recommender_scope("GET", path) is Scope.ADMINISTER


def test_items_need_more_than_the_scope_of_a_storefront():
    assert collector_scope("POST", "/v1/events") is Scope.WRITE_EVENTS
    assert {collector_scope("POST", "/v1/items"), collector_scope("DELETE", "/v1/items/mug")} == {Scope.ADMINISTER}


@pytest.mark.parametrize("header", ["authorization", "Authorization", "x-api-key", "X-API-Key"])
def test_key_comes_in_either_header(recommender, keys, header):
    token = keys[1]["recommend"]
    value = token if header.lower() == "x-api-key" else f"bearer {token}"
    assert recommender.get("/v1/recommend", headers={header: value}).status_code == 200


def test_scheme_other_than_bearer_is_no_key(recommender, keys):
    answer = recommender.get("/v1/recommend", headers={"authorization": f"Basic {keys[1]['recommend']}"})
    assert answer.status_code == 401


@pytest.mark.parametrize(("key", "status"), [("recommend", 403), ("write-events", 403), ("administer", 200)])
def test_metrics_are_the_administrators(recommender, keys, key, status):
    assert recommender.get("/metrics", headers=bearer(keys[1][key])).status_code == status


def test_refusal_has_the_body_of_its_protocol(recommender):
    problem = recommender.get("/v1/recommend").json()["error"]
    assert set(problem) == {"field", "problem", "remedy"}
    told = recommender.post("/v2/models/recommender/infer", json={}).json()
    assert "an API key is required; send the header" in told["error"]
    assert told["field"] == "authorization"


def test_beyond_its_rate_a_key_gets_429_and_when_to_come_back(recommender, keys):
    answers = [recommender.get("/v1/recommend", headers=bearer(keys[1]["slow"])) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    # 2 taken at once; the next comes after 1 / 0.001 s, less what has passed since
    assert 990 <= int(answers[2].headers["retry-after"]) <= 1000
    assert "--rate" in answers[2].json()["error"]["remedy"]


def test_each_list_of_a_prediction_counts(recommender, keys):
    body = {"instances": [{"k": 1}] * 11}
    answers = [
        recommender.post("/v1/models/recommender:predict", json=body, headers=bearer(keys[1]["lists"]))
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 429]


def test_refusals_are_counted(recommender, keys):
    recommender.get("/v1/recommend")
    text = recommender.get("/metrics", headers=bearer(keys[1]["administer"])).text
    assert 'tastemaker_request_errors_total{code="401",endpoint="access"}' in text


def test_collector_takes_events_with_its_scope_alone(collector, keys):
    event = {"type": "view", "user_id": "17850", "item_id": "mug"}
    statuses = {
        name: collector.post("/v1/events", json=event, headers=bearer(keys[1][name])).status_code
        for name in ("write-events", "recommend", "administer")
    }
    assert statuses == {"write-events": 202, "recommend": 403, "administer": 403}
    assert collector.post("/v1/events", json=event).json() == {
        "field": "authorization",
        "problem": "an API key is required; send the header 'authorization: Bearer KEY' or 'x-api-key: KEY'; "
        "`tastemaker keys create` makes one",
    }


def test_collector_is_alive_for_everybody(collector):
    assert [collector.get(path).status_code for path in ("/", "/health/live", "/v1/schema")] == [200] * 3


def test_keys_are_in_no_log_and_no_answer(recommender, collector, keys, caplog):
    token = keys[1]["recommend"]
    _, _, secret = token.split("_", 2)
    wrong = token[:-2] + "zz"
    seen = []
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("some.library").debug("request headers: %s", {"authorization": f"Bearer {token}"})
        try:
            raise ValueError(f"cannot use {token}")
        except ValueError:
            logging.getLogger("some.library").exception("failed")
        for sent in (token, wrong):
            for client in (recommender, collector):
                for headers in (bearer(sent), {"x-api-key": sent}, {"authorization": sent}):
                    for path in ("/v1/recommend", "/v1/events", "/metrics", "/v2/models/none/infer", "/nothing"):
                        seen.append(client.post(path, headers=headers, content=b"{").text)
                        seen.append(client.get(path, headers=headers).text)
        admin = recommender.get("/metrics", headers=bearer(keys[1]["administer"]))
    assert admin.status_code == 200
    seen += [admin.text, caplog.text]
    assert "some.library" in caplog.text
    assert not any(secret[:20] in text for text in seen)


def answered(**more) -> TestClient:
    """A client of an application whose one route tells who was let in."""

    async def hello(request):
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/v1/hello", hello, methods=["GET"]), Route("/v2/health/live", hello)])
    settings = Settings(api_keys="/nonexistent/keys.json", **more)
    refused = lambda problem, path: {"field": problem.field, "problem": problem.problem, "remedy": problem.remedy}  # noqa: E731
    install_access(app, lambda: settings, recommender_scope, refused, lambda status: None)
    return app


@pytest.mark.parametrize(
    ("server", "status"),
    [
        ("127.0.0.1", 200), ("[::1]", 200), ("10.1.2.3", 403), ("192.0.2.1", 403), ("[2001:db8::1]", 403),
        ("[::ffff:10.1.2.3]", 403),
    ],
)  # fmt: skip
def test_without_keys_only_callers_at_a_loopback_address_are_answered(server, status):
    with TestClient(answered(), base_url=f"http://{server}") as client:
        assert client.get("/v1/hello").status_code == status
        assert client.get("/v2/health/live").status_code == 200


def test_without_keys_anybody_is_answered_where_the_owner_allows_it():
    with TestClient(answered(allow_open=True), base_url="http://10.1.2.3") as client:
        assert client.get("/v1/hello").status_code == 200


def test_server_that_is_set_up_for_tls_answers_nothing_without(tmp_path):
    app = answered(tls_certificate="cert.pem", tls_key="key.pem")
    with TestClient(app, base_url="http://127.0.0.1") as plain:
        assert plain.get("/v1/hello").status_code == 400
    with TestClient(app, base_url="https://127.0.0.1") as secure:
        assert secure.get("/v1/hello").status_code == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"url": "/v1/hello?x=" + "a" * MAX_TARGET_BYTES}, 414),
        ({"url": "/v1/hello", "headers": {"x-long": "a" * MAX_HEADER_BYTES}}, 431),
        ({"url": "/v1/hello", "headers": {f"x-{number}": "" for number in range(MAX_HEADERS + 1)}}, 431),
        ({"url": "/v1/hello", "headers": {"x-long": "a" * (MAX_HEADER_BYTES // 2)}}, 200),
    ],
)
def test_target_and_headers_have_limits(request_, status):
    with TestClient(answered()) as client:
        answer = client.get(**request_)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["remedy"]


def test_websocket_is_closed():
    with (
        TestClient(answered()) as client,
        pytest.raises(WebSocketDisconnect) as closed,
        client.websocket_connect("/v1/hello"),
    ):
        pass
    assert closed.value.code == 1008  # policy violation


def test_more_requests_at_once_than_allowed_are_told_to_come_back_and_probes_are_not():
    held, release = threading.Event(), threading.Event()

    def wait(request):  # a plain function runs in a thread, so the event loop stays free
        held.set()
        assert release.wait(20)
        return PlainTextResponse("done")

    app = answered(max_in_progress=1)
    app.router.routes.append(Route("/v1/wait", wait))
    with TestClient(app) as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get, "/v1/wait")
        assert held.wait(20)
        busy = client.get("/v1/hello")
        probe = client.get("/v2/health/live")
        release.set()
        assert waiting.result().status_code == 200
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
        assert "overloaded" in busy.json()["problem"]
        assert probe.status_code == 200
        assert client.get("/v1/hello").status_code == 200
