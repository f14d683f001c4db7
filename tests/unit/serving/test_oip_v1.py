"""Version 1 of the Open Inference Protocol."""

import pytest
from api_twin import KNOWN_USER, CatalogueRecommender, serving

PREDICT = "/v1/models/recommender:predict"


@pytest.fixture(scope="module")
def client():
    with serving(CatalogueRecommender()) as client:
        yield client


def test_models_are_listed(client):
    assert client.get("/v1/models").json() == {"models": ["recommender"]}


def test_model_is_ready(client):
    assert client.get("/v1/models/recommender").json() == {"name": "recommender", "ready": True}


def test_one_prediction_for_each_instance(client):
    body = {"instances": [{"user": KNOWN_USER, "k": 1}, {"session": "s", "k": 3, "exclude": ["mug"]}]}
    predictions = client.post(PREDICT, json=body).json()["predictions"]
    shown = [[item["item_id"] for item in prediction["items"]] for prediction in predictions]
    assert shown == [["mug"], ["tea", "cake", "lamp"]]


def test_prediction_without_items_has_an_empty_list(client):
    body = {"instances": [{"exclude": ["mug", "tea", "cake", "lamp"]}]}
    assert client.post(PREDICT, json=body).json()["predictions"][0]["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "instances"),
        ({"instances": []}, "instances"),
        ({"instances": [{}] * 65}, "instances"),
        ({"instances": [{}, {"surface": "attic"}]}, "instances[1].surface"),
        ({"instances": [{"k": 0}]}, "instances[0].k"),
        ({"instances": [{"exclude": ["unheard"]}]}, "instances[0].exclude[0]"),
        ({"instances": [[1, 2]]}, "instances[0]"),
    ],
)
def test_broken_contract_is_400_and_names_the_field(client, body, field):
    response = client.post(PREDICT, json=body)
    assert response.status_code == 400
    assert response.json()["field"] == field
    assert isinstance(response.json()["error"], str)  # as the protocol says


def test_malformed_json_is_400(client):
    response = client.post(PREDICT, content=b"{", headers={"content-type": "application/json"})
    assert response.status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_model_is_404_and_named(client, method):
    path = "/v1/models/churn" + (":predict" if method == "POST" else "")
    response = client.request(method, path, json={"instances": [{}]} if method == "POST" else None)
    assert response.status_code == 404
    assert response.json()["field"] == "model"
    assert "churn" in response.json()["error"]
