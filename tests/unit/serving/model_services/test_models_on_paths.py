"""The models on the Open Inference Protocol's paths: shapes, chains, refusals, keys."""

import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from tastemaker.serving.access.key_file import create_key
from tastemaker.serving.access.keys import Scope
from tastemaker.serving.model_services.app import MAX_LISTS, RANKING, RETRIEVAL, ModelKind, create_model_app
from tastemaker.serving.model_services.contract import RankedItems, RetrievalRequest
from tastemaker.serving.model_services.plane import ModelPlane
from tastemaker.settings import Settings

HEADER = "inference-header-content-length"


@contextmanager
def serving(kind: ModelKind, open_model, ready: bool = True, **settings) -> Iterator[TestClient]:
    settings = Settings(**({"api_keys": "/nonexistent/keys.json"} | settings))
    app = create_model_app(kind, open_model, lambda: settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        deadline = time.monotonic() + 30
        while ready and not app.state.plane.ready:
            assert time.monotonic() < deadline, app.state.plane.why_not_ready
            time.sleep(0.005)
        yield client


@pytest.fixture(scope="module")
def clients(alone):
    with (
        serving(RETRIEVAL, lambda settings: alone.retrieval) as retrieval,
        serving(RANKING, lambda settings: alone.ranking) as ranking,
    ):
        yield {"retrieval": retrieval, "ranking": ranking}


def tensor(name, data, datatype="BYTES", shape=None):
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def infer(client, model, inputs, **more):
    return client.post(f"/v2/models/{model}/infer", json={"inputs": inputs, **more})


def outputs(response) -> dict[str, dict]:
    assert response.status_code == 200, response.text
    return {output["name"]: output for output in response.json()["outputs"]}


def rows(output) -> list[list]:
    width = output["shape"][1]
    return [output["data"][at : at + width] for at in range(0, len(output["data"]), width)]


@pytest.mark.parametrize("model", ["retrieval", "ranking"])
def test_health_and_metadata_tell_the_model_and_its_release(clients, alone, model):
    client = clients[model]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v1/models").json() == {"models": [model]}
    assert client.get(f"/v1/models/{model}").json() == {"name": model, "ready": True}
    release = alone.retrieval.release_id
    told = client.get(f"/v2/models/{model}/versions/{release}").json()
    assert (told["name"], told["versions"]) == (model, [release])
    assert {"name": "history_ages_s", "datatype": "FP32", "shape": [-1, -1]} in told["inputs"]
    assert told["outputs"][0] == {"name": "item_ids", "datatype": "BYTES", "shape": [-1, -1]}
    for path in ("/v2/models/recommender", f"/v2/models/{model}/versions/r9/ready"):
        assert client.get(path).status_code == 404
    assert b'tastemaker_release{release="' in client.get("/metrics").content


def test_a_path_that_nothing_answers_says_what_does(clients):
    answer = clients["ranking"].get("/v1/recommend")
    assert (answer.status_code, "/v2/models/ranking" in answer.text) == (404, True)
    assert clients["ranking"].delete("/v2").status_code == 404


def test_v1_and_v2_of_retrieval_say_the_same(clients):
    asked = [{"user": "u3", "limit": 5}, {"user": "nobody", "limit": 2}]
    predictions = (
        clients["retrieval"].post("/v1/models/retrieval:predict", json={"instances": asked}).json()["predictions"]
    )
    inputs = [tensor("user", ["u3", "nobody"]), tensor("limit", [5, 2], "INT64")]
    found = outputs(infer(clients["retrieval"], "retrieval", inputs))
    assert found["item_ids"]["shape"] == found["sources"]["shape"] == [2, 5]
    assert found["lengths"]["data"] == [len(prediction["candidates"]) for prediction in predictions]
    for row, prediction in enumerate(predictions):
        ids = [one["item_id"] for one in prediction["candidates"]]
        assert rows(found["item_ids"])[row] == ids + [""] * (5 - len(ids))
        names = [",".join(one["sources"]) for one in prediction["candidates"]]
        assert rows(found["sources"])[row][: len(names)] == names
    most = found["source_scores"]["shape"][2]
    first = list(predictions[0]["candidates"][0]["sources"].values())
    assert found["source_scores"]["data"][: len(first)] == pytest.approx(first, rel=1e-5)
    assert most == max(len(one["sources"]) for prediction in predictions for one in prediction["candidates"])


@pytest.mark.parametrize("whose", [{"user": "u3"}, {"session": "s1"}, {}], ids=["known", "visit", "nobody"])
def test_an_answer_of_retrieval_is_a_request_of_ranking_as_its_bytes_stand(clients, alone, whose):
    alone.opened.send("view", "toys-5", session="s1")
    _, expected = alone.chain(RetrievalRequest(**whose, k=6))
    ids = [shown.item_id for shown in expected.items]
    body = {"instances": [{**whose, "k": 6}]}
    found = clients["retrieval"].post("/v1/models/retrieval:predict", json=body)
    ranked = clients["ranking"].post("/v1/models/ranking:predict", content=found.content)
    assert [shown["item_id"] for shown in ranked.json()["predictions"][0]["items"]] == ids
    inputs = [tensor("k", [6], "INT32"), *(tensor(name, [value]) for name, value in whose.items())]
    found = infer(clients["retrieval"], "retrieval", inputs, id="42")
    ranked = clients["ranking"].post("/v2/models/ranking/infer", content=found.content)
    assert rows(outputs(ranked)["item_ids"]) == [ids]
    assert outputs(ranked)["scores"]["data"] == pytest.approx([shown.score for shown in expected.items], rel=1e-4)
    assert outputs(ranked)["request_ids"]["data"] == outputs(found)["request_ids"]["data"]
    assert (ranked.json()["id"], ranked.json()["model_name"]) == ("42", "ranking")


def test_a_chain_of_several_lists_with_histories_and_pages(clients, alone):
    inputs = [
        tensor("surface", ["similar", "home"]),
        tensor("items", ["toys-1", "toys-2", "", ""], shape=[2, 2]),
        tensor("history_items", ["garden-1", "", "toys-3", "toys-4"], shape=[2, 2]),
        tensor("history_types", ["view", "", "view", "purchase"], shape=[2, 2]),
        tensor("history_ages_s", [60, 0, 30.5, 86400], "FP32", shape=[2, 2]),
    ]
    found = infer(clients["retrieval"], "retrieval", inputs)
    ranked = clients["ranking"].post("/v2/models/ranking/infer", content=found.content)
    lists = rows(outputs(ranked)["item_ids"])
    instances = [
        {
            "surface": "similar",
            "items": ["toys-1", "toys-2"],
            "history": [{"item_id": "garden-1", "type": "view", "age_s": 60}],
        },
        {
            "history": [
                {"item_id": "toys-3", "type": "view", "age_s": 30.5},
                {"item_id": "toys-4", "type": "purchase", "age_s": 86400},
            ]
        },
    ]
    found = clients["retrieval"].post("/v1/models/retrieval:predict", json={"instances": instances})
    ranked = clients["ranking"].post("/v1/models/ranking:predict", content=found.content).json()["predictions"]
    assert lists == [[shown["item_id"] for shown in prediction["items"]] for prediction in ranked]
    assert not {"toys-1", "toys-2"} & set(lists[0])


def test_an_error_of_the_step_before_is_told_as_such(clients):
    refused = infer(clients["retrieval"], "retrieval", [tensor("surface", ["attic"])])
    assert refused.status_code == 400
    for path in ("/v2/models/ranking/infer", "/v1/models/ranking:predict"):
        answer = clients["ranking"].post(path, content=refused.content)
        assert answer.status_code == 400
        assert "unknown surface 'attic'" in answer.json()["error"]
        assert "dependency: Hard" in answer.json()["error"]


def test_binary_tensors_go_in_and_out(clients):
    ids = [b"toys-1", b"office-1"]
    raw = b"".join(struct.pack("<I", len(each)) + each for each in ids)
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "item_ids",
                    "datatype": "BYTES",
                    "shape": [1, 2],
                    "parameters": {"binary_data_size": len(raw)},
                },
                tensor("user", ["u3"]),
            ],
            "outputs": [{"name": "scores", "parameters": {"binary_data": True}}],
        }
    ).encode()
    answer = clients["ranking"].post(
        "/v2/models/ranking/infer",
        content=head + raw,
        headers={HEADER: str(len(head)), "content-type": "application/octet-stream"},
    )
    assert answer.status_code == 200, answer.text
    scores = struct.unpack("<2f", answer.content[int(answer.headers[HEADER]) :])
    assert scores[0] > scores[1]


REFUSED = [
    ("retrieval", [], "inputs"),
    ("retrieval", [tensor("colour", ["red"])], "inputs[0].name"),
    ("retrieval", [tensor("user", ["a"], "FP32")], "inputs[0].data"),
    ("retrieval", [tensor("user", [1], "INT32")], "inputs[0].datatype"),
    ("retrieval", [tensor("user", ["a"]), tensor("limit", [0], "INT32")], "inputs[1].data"),
    ("retrieval", [tensor("user", ["a"]), tensor("k", [101], "INT32")], "inputs[1].data"),
    ("retrieval", [tensor("user", ["a"]), tensor("items", ["i"])], "inputs[1].shape"),
    ("retrieval", [tensor("user", ["a", "b", "c"]), tensor("session", ["a", "b"])], "inputs[1].shape"),
    ("retrieval", [tensor("user", ["a"] * (MAX_LISTS + 1))], "inputs"),
    ("retrieval", [tensor("user", ["a"]), tensor("surface", ["attic"])], "inputs[1].data"),
    ("retrieval", [tensor("surface", ["similar"])], "items"),
    (
        "retrieval",
        [tensor("history_items", ["i"], shape=[1, 1]), tensor("history_types", ["sneeze"], shape=[1, 1])],
        "inputs[1].data",
    ),
    ("retrieval", [tensor("history_items", ["toys-1"], shape=[1, 1])], "inputs"),  # of what type is not told
    (
        "retrieval",
        [
            tensor("history_items", ["toys-1"], shape=[1, 1]),
            tensor("history_types", ["view"], shape=[1, 1]),
            tensor("history_ages_s", [-1.0], "FP32", shape=[1, 1]),
        ],
        "inputs[2].data",
    ),
    ("ranking", [tensor("user", ["u3"])], "inputs"),
    ("ranking", [tensor("item_ids", ["toys-1"])], "inputs[0].shape"),
    (
        "ranking",
        [tensor("item_ids", ["toys-1"], shape=[1, 1]), tensor("sources", ["cellar"], shape=[1, 1])],
        "inputs[1].data",
    ),
    (
        "ranking",
        [
            tensor("item_ids", ["toys-1"], shape=[1, 1]),
            tensor("sources", ["two_tower,trending"], shape=[1, 1]),
            tensor("source_scores", [1.0], "FP32", shape=[1, 1, 1]),
        ],
        "inputs[2].shape",
    ),
    ("ranking", [tensor("item_ids", ["x" * 300], shape=[1, 1])], "inputs[0].data"),
    ("ranking", [tensor("item_ids", ["toys-1"], shape=[1, 1]), tensor("tiers", ["best"])], "inputs[1].data"),
]


@pytest.mark.parametrize(("model", "inputs", "field"), REFUSED)
def test_a_tensor_that_will_not_do_is_400_and_named(clients, model, inputs, field):
    answer = infer(clients[model], model, inputs)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"] == field, answer.text


@pytest.mark.parametrize(
    ("model", "body", "field"),
    [
        ("retrieval", {"instances": [{"usr": "a"}]}, "instances[0].usr"),
        ("retrieval", {"instances": []}, "instances"),
        ("retrieval", {"instances": [{}] * (MAX_LISTS + 1)}, "instances"),
        ("retrieval", {"instances": [{}, {"history": [{"item_id": "a"}]}]}, "instances[1].history[0].type"),
        (
            "ranking",
            {"instances": [{"candidates": [{"item_id": "a", "sources": {"x": 1}}]}]},
            "instances[0].candidates[0].sources",
        ),
        ("ranking", {"instances": [{}]}, "instances[0].candidates"),
        ("ranking", {}, "instances"),
    ],
)
def test_an_instance_that_will_not_do_is_400_and_named(clients, model, body, field):
    answer = clients[model].post(f"/v1/models/{model}:predict", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"] == field, answer.text


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b'"x"', b"{", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("path", ["/v1/models/ranking:predict", "/v2/models/ranking/infer"])
def test_what_is_no_request_is_400(clients, path, content):
    assert clients["ranking"].post(path, content=content).status_code == 400


def test_without_a_release_it_is_live_and_says_what_it_waits_for():
    def fails(settings):
        raise RuntimeError("no such file")

    with serving(RETRIEVAL, fails, ready=False) as client:
        assert client.get("/v2/health/live").status_code == 200
        deadline = time.monotonic() + 20
        while "no such file" not in (answer := client.get("/v2/health/ready")).text:
            assert time.monotonic() < deadline
        assert answer.status_code == 503
        for path, body in (
            ("/v1/models/retrieval:predict", {"instances": [{}]}),
            ("/v2/models/retrieval/infer", {"inputs": [tensor("user", ["u1"])]}),
        ):
            answer = client.post(path, json=body)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


class Held:
    """A model that answers when it is let go."""

    release_id = "r1"

    def __init__(self):
        self.gate = threading.Event()

    def warm_up(self):
        pass

    def refresh(self):
        pass

    def check(self, request, where=""):
        pass

    def answer(self, request):
        assert self.gate.wait(30)
        return RankedItems(request_id="1", release="r1", tier="full", items=())


def test_a_call_that_takes_too_long_is_told_to_come_back(monkeypatch):
    held = Held()
    monkeypatch.setitem(ModelPlane.__init__.__kwdefaults__, "budget_s", 0.05)
    with serving(RANKING, lambda settings: held) as client:
        for _ in range(2):
            answer = client.post("/v1/models/ranking:predict", json={"instances": [{"candidates": []}]})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "no answer within 0.05 s" in answer.text
        held.gate.set()


def test_keys_guard_the_models(tmp_path, alone):
    path = tmp_path / "keys.json"
    _, token = create_key(path, "shop", [Scope.RECOMMEND], now_us=0, rate=0, burst=1)
    with serving(RETRIEVAL, lambda settings: alone.retrieval, api_keys=str(path)) as client:
        body = {"instances": [{"user": "u3"}]}
        assert client.post("/v1/models/retrieval:predict", json=body).status_code == 401
        assert client.get("/v2/health/ready").status_code == 200
        bearer = {"authorization": f"Bearer {token}"}
        assert client.post("/v1/models/retrieval:predict", json=body, headers=bearer).status_code == 200
        assert client.get("/metrics", headers=bearer).status_code == 403
