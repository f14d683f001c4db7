"""Version 2 of the Open Inference Protocol: shapes, datatypes, binary tensors, refusals."""

import struct

import msgspec
import numpy as np
import pytest
from api_twin import KNOWN_USER, CatalogueRecommender, serving
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.serving.oip.parsing import parse, texts
from tastemaker.serving.oip.tensors import encode_answer
from tastemaker.serving.problems import ApiProblem

INFER = "/v2/models/recommender/infer"
HEADER = "inference-header-content-length"
DEEP = pytest.param(b'{"inputs": [{"name": "user", "data": ' + b"[" * 100_000, id="deep")


@pytest.fixture(scope="module")
def client():
    with serving(CatalogueRecommender()) as client:
        yield client


def tensor(name: str, values: list, datatype: str = "BYTES", **more) -> dict:
    return {"name": name, "datatype": datatype, "shape": [len(values)], "data": values} | more


def outputs_of(response) -> dict[str, dict]:
    assert response.status_code == 200, response.text
    return {output["name"]: output for output in response.json()["outputs"]}


def refused(response, status: int = 400) -> dict:
    assert response.status_code == status, response.text
    assert isinstance(response.json()["error"], str)
    return response.json()


def test_server_metadata_announces_the_binary_extension(client):
    answer = client.get("/v2").json()
    assert answer["name"] == "tastemaker"
    assert answer["extensions"] == ["binary_tensor_data"]


def test_health(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}


def test_model_metadata_names_tensors_and_release(client):
    answer = client.get("/v2/models/recommender").json()
    assert answer["versions"] == ["release-7"]
    of_page = ["items", "category", "query", "exclude"]
    assert [entry["name"] for entry in answer["inputs"]] == ["user", "session", "surface", "k", *of_page]
    assert answer["outputs"][0] == {"name": "item_ids", "datatype": "BYTES", "shape": [-1, -1]}


def test_model_is_listed_and_ready(client):
    assert client.get("/v2/models").json() == {"models": ["recommender"]}
    assert client.get("/v2/models/recommender/ready").json()["ready"] is True


@pytest.mark.parametrize("suffix", ["", "/ready"])
def test_version_is_the_release(client, suffix):
    assert client.get(f"/v2/models/recommender/versions/release-7{suffix}").status_code == 200
    error = refused(client.get(f"/v2/models/recommender/versions/release-6{suffix}"), 404)
    assert error["field"] == "version"


def test_infer_by_version(client):
    body = {"inputs": [tensor("user", ["a"])]}
    assert client.post("/v2/models/recommender/versions/release-7/infer", json=body).status_code == 200
    refused(client.post("/v2/models/recommender/versions/release-6/infer", json=body), 404)


def test_unknown_model_is_404(client):
    for path in ("/v2/models/churn", "/v2/models/churn/ready"):
        assert refused(client.get(path), 404)["field"] == "model"
    assert refused(client.post("/v2/models/churn/infer", json={"inputs": []}), 404)["field"] == "model"


def test_one_row_for_each_user(client):
    body = {"id": "42", "inputs": [tensor("user", [KNOWN_USER, ""]), tensor("k", [2], "INT32")]}
    response = client.post(INFER, json=body)
    outputs = outputs_of(response)
    answer = response.json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("recommender", "release-7", "42")
    assert answer["parameters"] == {"release": "release-7"}
    assert outputs["item_ids"]["shape"] == [2, 2]
    assert outputs["item_ids"]["data"] == ["mug", "tea", "mug", "tea"]
    assert outputs["scores"] == {"name": "scores", "datatype": "FP32", "shape": [2, 2], "data": [1.0, 0.5, 1.0, 0.5]}
    assert outputs["tiers"]["data"] == ["full", "cold_start"]  # an empty text is an unknown shopper
    assert len(set(outputs["request_ids"]["data"])) == 2


def test_shorter_lists_are_filled_up_and_lengths_tell_where_they_end(client):
    body = {"inputs": [tensor("user", ["a", "b"]), tensor("k", [1, 3], "INT64")]}
    outputs = outputs_of(client.post(INFER, json=body))
    assert outputs["lengths"]["data"] == [1, 3]
    assert outputs["item_ids"]["shape"] == [2, 3]
    assert outputs["item_ids"]["data"] == ["mug", "", "", "mug", "tea", "cake"]
    assert outputs["scores"]["data"][:3] == [1.0, 0.0, 0.0]


def test_id_is_made_up_when_missing(client):
    assert client.post(INFER, json={"inputs": [tensor("user", ["a"])]}).json()["id"].startswith("request-")


def test_nested_data_is_read_by_its_shape(client):
    body = {"inputs": [tensor("user", [["a"], ["b"]], shape=[2])]}
    assert outputs_of(client.post(INFER, json=body))["item_ids"]["shape"][0] == 2


def test_requested_outputs_alone_are_answered(client):
    body = {"inputs": [tensor("user", ["a"])], "outputs": [{"name": "tiers"}]}
    assert list(outputs_of(client.post(INFER, json=body))) == ["tiers"]


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ([], "inputs"),
        ([tensor("session", ["s"])], "inputs"),
        ([tensor("user", ["a"]), tensor("colour", ["red"])], "inputs[1].name"),
        ([tensor("user", ["a"]), tensor("user", ["b"])], "inputs[1].name"),
        ([tensor("user", ["a"], "FP32")], "inputs[0].data"),
        ([tensor("user", [1], "INT32")], "inputs[0].datatype"),
        ([tensor("user", ["a"]), tensor("k", [2.0], "FP32")], "inputs[1].datatype"),
        ([tensor("user", ["a"]), tensor("k", [2], "FP32")], "inputs[1].datatype"),
        ([tensor("user", ["a"]), tensor("k", [2.5], "INT32")], "inputs[1].data"),
        ([tensor("user", ["a"]), tensor("k", [True], "INT32")], "inputs[1].data"),
        ([tensor("user", ["a"]), tensor("k", [0], "INT32")], "inputs[1].data"),
        ([tensor("user", ["a"]), tensor("k", [10**30], "INT64")], "inputs[1].data"),
        ([tensor("user", ["a"]), tensor("surface", ["attic"])], "inputs[1].data"),
        ([tensor("user", [3])], "inputs[0].data"),
        ([tensor("user", ["a"], shape=[2])], "inputs[0].shape"),
        ([tensor("user", ["a", "b"], shape=[1])], "inputs[0].shape"),
        ([tensor("user", ["a", "b"], shape=[2, 1])], "inputs[0].shape"),
        ([tensor("user", ["a"], shape=[-1])], "inputs[0].shape"),
        ([tensor("user", ["a"], shape=[1 << 40])], "inputs[0].shape"),
        ([tensor("user", [])], "inputs[0].shape"),
        ([tensor("user", ["a"] * 65)], "inputs[0].shape"),
        ([tensor("user", ["a", "b", "c"]), tensor("k", [1, 2], "INT32")], "inputs[1].shape"),
        ([{"name": "user", "datatype": "BYTES", "shape": [1]}], "inputs[0].data"),
        ([{"name": "user", "shape": [1], "data": ["a"]}], "inputs[0].datatype"),
        ([tensor("user", ["a"], shape="one")], "inputs[0].shape"),
    ],
)
def test_malformed_tensor_is_400_and_named(client, inputs, field):
    assert refused(client.post(INFER, json={"inputs": inputs}))["field"] == field


def test_unknown_surface_is_named_with_the_known_ones(client):
    error = refused(client.post(INFER, json={"inputs": [tensor("user", ["a"]), tensor("surface", ["attic"])]}))
    assert "attic" in error["error"]
    assert "home" in error["error"]


def test_unknown_output_is_400(client):
    body = {"inputs": [tensor("user", ["a"])], "outputs": [{"name": "margin"}]}
    assert refused(client.post(INFER, json=body))["field"] == "outputs[0].name"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"inputs": 3}', b'{"inputs": [3]}', b"\xff", DEEP])
def test_body_that_is_no_request_is_400(client, body):
    refused(client.post(INFER, content=body, headers={"content-type": "application/json"}))


def binary_body(parts: dict[str, tuple[str, int, bytes]], **more) -> tuple[bytes, dict[str, str]]:
    """A request whose tensors follow the JSON: name to datatype, count, raw bytes."""
    inputs = [
        {"name": name, "datatype": datatype, "shape": [count], "parameters": {"binary_data_size": len(raw)}}
        for name, (datatype, count, raw) in parts.items()
    ]
    head = msgspec.json.encode({"inputs": inputs, **more})
    headers = {"content-type": "application/octet-stream", HEADER: str(len(head))}
    return head + b"".join(raw for _, _, raw in parts.values()), headers


def elements(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def test_binary_in_and_out(client):
    users = elements(KNOWN_USER.encode(), "Ω".encode())
    body, headers = binary_body(
        {"user": ("BYTES", 2, users), "k": ("INT64", 2, struct.pack("<2q", 1, 2))},
        parameters={"binary_data_output": True},
    )
    response = client.post(INFER, content=body, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/octet-stream"
    length = int(response.headers[HEADER])
    described = msgspec.json.decode(response.content[:length])["outputs"]
    raw = response.content[length:]
    values = {}
    for output in described:
        size = output["parameters"]["binary_data_size"]
        values[output["name"]], raw = raw[:size], raw[size:]
        assert "data" not in output
    assert raw == b""
    # by hand from the extension's definition: 4 bytes of length, then the text; row 0 is filled up with ""
    assert values["item_ids"] == elements(b"mug", b"", b"mug", b"tea")
    assert values["scores"] == struct.pack("<4f", 1.0, 0.0, 1.0, 0.5)
    assert values["lengths"] == struct.pack("<2i", 1, 2)


def test_binary_may_be_asked_for_one_output(client):
    body = {
        "inputs": [tensor("user", ["a"]), tensor("k", [2], "INT32")],
        "outputs": [{"name": "item_ids"}, {"name": "scores", "parameters": {"binary_data": True}}],
    }
    response = client.post(INFER, json=body)
    length = int(response.headers[HEADER])
    ids, scores = msgspec.json.decode(response.content[:length])["outputs"]
    assert ids["data"] == ["mug", "tea"]
    assert scores["parameters"] == {"binary_data_size": 8}
    assert np.frombuffer(response.content[length:], "<f4").tolist() == [1.0, 0.5]


@pytest.mark.parametrize(
    ("datatype", "count", "raw", "field"),
    [
        ("BYTES", 1, elements(b"abc")[:-1], "inputs[0].parameters.binary_data_size"),  # the text is cut off
        ("BYTES", 1, b"\x01\x00", "inputs[0].parameters.binary_data_size"),  # the length is cut off
        ("BYTES", 1, struct.pack("<I", 2**32 - 1) + b"abc", "inputs[0].parameters.binary_data_size"),
        ("BYTES", 2, elements(b"abc"), "inputs[0].shape"),
        ("BYTES", 1, elements(b"\xff\xfe"), "inputs[0].data"),  # not UTF-8
        ("INT32", 1, b"\x01\x00\x00", "inputs[0].parameters.binary_data_size"),
        ("FP32", 1, b"\x00\x00\x00\x00", "inputs[0].datatype"),
    ],
)
def test_malformed_binary_is_400_and_named(client, datatype, count, raw, field):
    body, headers = binary_body({"user": (datatype, count, raw)})
    assert refused(client.post(INFER, content=body, headers=headers))["field"] == field


def test_announced_binary_that_is_not_there_is_400(client):
    body, headers = binary_body({"user": ("BYTES", 1, elements(b"abc"))})
    error = refused(client.post(INFER, content=body[:-3], headers=headers))
    assert error["field"] == "inputs[0].parameters.binary_data_size"


def test_bytes_after_the_last_tensor_are_400(client):
    body, headers = binary_body({"user": ("BYTES", 1, elements(b"abc"))})
    assert refused(client.post(INFER, content=body + b"xy", headers=headers))["field"] == "inputs"


@pytest.mark.parametrize("length", ["many", "-1", "1000000"])
def test_header_length_that_is_no_length_is_400(client, length):
    body, headers = binary_body({"user": ("BYTES", 1, elements(b"abc"))})
    assert refused(client.post(INFER, content=body, headers=headers | {HEADER: length}))["field"] == HEADER


@pytest.mark.parametrize("size", [-1, 1.5, "7", True, None])
def test_binary_size_that_is_no_size_is_400(client, size):
    body = {"inputs": [{"name": "user", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": size}}]}
    refused(client.post(INFER, json=body))


@given(st.lists(st.text(), min_size=1, max_size=20))
def test_texts_survive_the_way_out_and_in(values):
    array = np.array(values, dtype=object)
    encoded, length = encode_answer({}, [("user", "BYTES", array, True)])
    answer = msgspec.json.decode(encoded[:length])
    head = msgspec.json.encode({"inputs": answer["outputs"]})
    _, read = parse(head + encoded[length:], str(len(head)))
    assert texts(read["user"], "user") == values


@given(st.binary(max_size=60), st.integers(0, 3))
def test_any_bytes_are_read_or_refused(raw, count):
    """No input makes the parser fail in another way than by its own refusal."""
    body, headers = binary_body({"user": ("BYTES", count, raw)})
    try:
        _, values = parse(body, headers[HEADER])
    except ApiProblem as problem:
        status = problem.status
    else:
        status = 200
        assert elements(*values["user"]) == raw
    assert status in {200, 400}
