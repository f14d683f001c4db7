"""The page of a list over the v2 protocol: its products, cart, category and query as tensors."""

import numpy as np
import pytest
from api_twin import CatalogueRecommender, serving

from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.oip.tensors import write_bytes

INFER = "/v2/models/recommender/infer"


class Noting(CatalogueRecommender):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[RecommendationRequest] = []

    def answer(self, request, waited_ms=0.0):
        self.asked.append(request)
        return super().answer(request, waited_ms)


@pytest.fixture(scope="module")
def shop():
    recommender = Noting()
    with serving(recommender) as client:
        yield client, recommender


def text(name: str, values: list, shape: list[int] | None = None) -> dict:
    return {"name": name, "datatype": "BYTES", "shape": shape or list(np.shape(values)), "data": values}


def asked(shop, *inputs: dict) -> list[RecommendationRequest]:
    client, recommender = shop
    recommender.asked.clear()
    response = client.post(INFER, json={"inputs": inputs})
    assert response.status_code == 200, response.text
    return sorted(recommender.asked, key=lambda one: one.user or "")


def refused(shop, *inputs: dict) -> dict:
    response = shop[0].post(INFER, json={"inputs": inputs})
    assert response.status_code == 400, response.text
    return response.json()


def test_each_list_has_the_page_of_its_row_and_empty_texts_fill_up_shorter_rows(shop):
    first, second = asked(
        shop,
        text("user", ["a", "b"]),
        text("surface", ["cart"]),
        text("items", [["mug", "tea"], ["lamp", ""]]),
        text("exclude", [["cake"], [""]]),
    )
    assert (first.surface, first.items, first.exclude) == ("cart", ("mug", "tea"), ("cake",))
    assert (second.surface, second.items, second.exclude) == ("cart", ("lamp",), ())


def test_one_row_is_the_page_of_all_lists(shop):
    lists = asked(shop, text("user", ["a", "b"]), text("surface", ["similar"]), text("items", [["mug"]]))
    assert [one.items for one in lists] == [("mug",), ("mug",)]


def test_category_and_query_are_those_of_the_json_api(shop):
    first, second = asked(
        shop,
        text("user", ["a", "b"]),
        text("surface", ["category", "search"]),
        text("category", ["kitchen/tea", ""]),
        text("items", [["", ""], ["mug", "tea"]]),
        text("query", ["", "red heart"]),
    )
    assert first == RecommendationRequest(surface="category", user="a", category="kitchen/tea")
    assert second == RecommendationRequest(surface="search", user="b", items=("mug", "tea"), query="red heart")


def test_binary_ids_are_read_row_by_row(shop):
    import msgspec

    parts = {"user": np.array(["a", "b"], object), "items": np.array([["mug", "tea"], ["lamp", ""]], object)}
    raw = {name: write_bytes(array) for name, array in parts.items()}
    inputs = [
        {
            "name": name,
            "datatype": "BYTES",
            "shape": list(array.shape),
            "parameters": {"binary_data_size": len(raw[name])},
        }
        for name, array in parts.items()
    ]
    head = msgspec.json.encode({"inputs": inputs})
    client, recommender = shop
    recommender.asked.clear()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    response = client.post(INFER, content=head + b"".join(raw.values()), headers=headers)
    assert response.status_code == 200, response.text
    assert sorted((one.user, one.items) for one in recommender.asked) == [("a", ("mug", "tea")), ("b", ("lamp",))]


@pytest.mark.parametrize(
    ("tensor", "field"),
    [
        (text("items", ["mug", "tea"]), "inputs[1].shape"),  # a vector does not say whose items they are
        (text("items", [["mug"], ["tea"], ["lamp"]]), "inputs[1].shape"),  # three rows for two lists
        (text("items", [], [2, 1 << 62]), "inputs[1].shape"),
        (text("items", [], [1 << 62, 0]), "inputs[1].shape"),  # rows without an element take no space in the request
        (text("items", [], [1 << 20, 0]), "inputs[1].shape"),
        (text("items", [["x" * 2_000], ["tea"]]), "inputs[1].data"),  # longer than an id may be
        (text("items", [["mug"] * 1_001, ["tea"] * 1_001]), "inputs[1].data"),
        (text("exclude", [["attic"], [""]]), "inputs[1].data"),  # nothing of the catalogue
        (text("category", [["kitchen"], ["tea"]]), "inputs[1].shape"),
        (text("query", ["q" * 2_000, "r"]), "inputs[1].data"),
        ({"name": "items", "datatype": "INT32", "shape": [2, 1], "data": [1, 2]}, "inputs[1].datatype"),
    ],
)
def test_malformed_page_is_400_and_the_tensor_is_named(shop, tensor, field):
    assert refused(shop, text("user", ["a", "b"]), tensor)["field"] == field


def test_surface_that_lacks_its_page_names_the_field_that_is_missing(shop):
    error = refused(shop, text("user", ["a"]), text("surface", ["similar"]))
    assert error["field"] == "items"
    assert "items" in error["error"]
