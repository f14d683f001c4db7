"""The index, the documentation and the OpenAPI document."""

import re
from pathlib import Path

import msgspec
import pytest
from api_twin import CatalogueRecommender, serving

from tastemaker.serving import openapi_examples as examples
from tastemaker.serving import pages
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse
from tastemaker.serving.openapi import Error, InferResponse, PredictResponse, ProtocolError, openapi_document

HTML = sorted((Path(pages.__file__).parent / "html").glob("*.html"))


@pytest.fixture(scope="module")
def client():
    with serving(CatalogueRecommender()) as client:
        yield client


@pytest.mark.parametrize("path", HTML, ids=lambda path: path.name)
def test_page_loads_nothing_from_elsewhere(path):
    text = path.read_text()
    assert not re.findall(r"(?i)\bhttps?://|[\"'(]//[a-z]|@import|<link\b|\bsrc\s*=", text)


def test_both_pages_are_there():
    assert [path.name for path in HTML] == ["docs.html", "index.html"]


def test_docs_page_renders_the_document(client):
    response = client.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert 'fetch("/openapi.json")' in response.text


def test_index_is_a_page_for_browsers_and_json_for_clients(client):
    assert client.get("/", headers={"accept": "text/html,*/*"}).headers["content-type"].startswith("text/html")
    assert client.get("/").json()["docs"] == "/docs"


def test_document_names_every_route_of_the_application(client):
    documented = {
        (path.replace("/recommender", "/{model}"), method.upper())
        for path, operations in client.get("/openapi.json").json()["paths"].items()
        for method in operations
    }
    served = {
        (route.path, method)
        for route in client.app.routes
        for method in route.methods - {"HEAD"}
        if "{path" not in route.path
    }
    # left out: the pages themselves, another spelling with the version, and the v2 list of one model
    left_out = {("/", "GET"), ("/docs", "GET"), ("/openapi.json", "GET"), ("/v2/models", "GET")}
    assert documented == {entry for entry in served if "/versions/" not in entry[0]} - left_out


def test_document_resolves_all_references():
    document = openapi_document()
    references = set(re.findall(rb'"#/components/schemas/(\w+)"', msgspec.json.encode(document)))
    assert {name.decode() for name in references} <= set(document["components"]["schemas"])
    assert b"RecommendationRequest" in references


def test_every_field_of_request_and_answer_is_described():
    schemas = openapi_document()["components"]["schemas"]
    for name in ("RecommendationRequest", "RecommendationResponse", "RecommendedItem", "InferRequest", "InputTensor"):
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description"), f"{name}.{field}"
        assert "Attributes" not in schemas[name]["description"]


def test_example_requests_are_answered(client):
    assert client.post("/v1/recommend", json=examples.REQUEST).status_code == 200
    assert client.post("/v1/models/recommender:predict", json=examples.PREDICT).status_code == 200
    answer = client.post("/v2/models/recommender/infer", json=examples.INFER)
    assert answer.status_code == 200, answer.text
    asked = [output["name"] for output in examples.INFER["outputs"]]
    assert [output["name"] for output in answer.json()["outputs"]] == asked


@pytest.mark.parametrize(
    ("example", "kind"),
    [
        (examples.REQUEST, RecommendationRequest),
        (examples.PAGE, RecommendationRequest),
        (examples.RESPONSE, RecommendationResponse),
        (examples.INFER_RESPONSE, InferResponse),
        ({"predictions": [examples.RESPONSE]}, PredictResponse),
        (examples.ERRORS["Error"], Error),
        (examples.ERRORS["ProtocolError"], ProtocolError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_examples_decode_as_what_they_show(example, kind):
    assert msgspec.convert(example, kind)


def test_example_errors_are_what_the_server_says(client):
    assert client.post("/v1/recommend", json={"surface": "attic"}).json() == examples.ERRORS["Error"]
    body = {
        "inputs": [
            {"name": "user", "datatype": "BYTES", "shape": [1], "data": ["17850"]},
            {"name": "k", "datatype": "FP32", "shape": [1], "data": [2]},
        ]
    }
    assert client.post("/v2/models/recommender/infer", json=body).json() == examples.ERRORS["ProtocolError"]
