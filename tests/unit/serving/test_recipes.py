"""Recipes of surfaces: the built-in ones, those of a shop, and what is wrong with others."""

from pathlib import Path
from typing import get_args

import pytest

from tastemaker.errors import ServingError
from tastemaker.serving.contract import Filters, RecommendationRequest
from tastemaker.serving.filters import _FILTERS, FilterName
from tastemaker.serving.problems import ApiProblem
from tastemaker.serving.recipe import STAGES
from tastemaker.serving.recipes import load_recipes, read_recipe
from tastemaker.serving.requests import check_request

VALID = "surface: attic\nabout: Old things.\nsources: {trending: 5}\norder: {trending: 1}\n"


def test_every_surface_has_a_recipe_and_home_is_the_first() -> None:
    recipes = load_recipes()
    assert list(recipes) == [
        "home", "also_viewed", "bought_together", "buy_again", "cart", "category", "email", "search", "similar",
    ]  # fmt: skip
    assert recipes["home"].stages == STAGES
    assert recipes["search"].only_given
    assert all("not_dismissed" in recipe.filters for name, recipe in recipes.items() if name != "search")
    assert "not_just_bought" not in recipes["buy_again"].filters


def test_every_filter_that_a_recipe_may_name_is_there() -> None:
    assert set(get_args(FilterName)) == set(_FILTERS)


def test_a_directory_adds_surfaces_and_takes_the_place_of_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "attic.yaml").write_text(VALID)
    (tmp_path / "cart.yaml").write_text(VALID.replace("attic", "cart"))
    recipes = load_recipes(tmp_path)
    assert recipes["attic"].about == recipes["cart"].about == "Old things."
    assert "home" in recipes


def test_a_directory_that_is_not_there_is_told_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="TASTEMAKER_SURFACES_DIR"):
        load_recipes(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "field", "remedy"),
    [
        (VALID.replace("{trending: 5}", "{cellar: 5}"), "sources.cellar", "two_tower"),
        (VALID.replace("{trending: 5}", "{trending: 0}"), "sources.trending", "use of"),
        (VALID + "stages: [context, sorting]", "stages.1", "candidates"),
        (VALID + "filters: [available]", "filters", "add it"),
        (VALID + "stages: [candidates, context, filtering, explain, log]", "stages", "in the order"),
        (VALID + "stages: [context, candidates, filtering, log]", "stages", "explain"),
        (VALID.replace("{trending: 1}", "{rank: 1}"), "order.rank", "ranker, text"),
        (VALID.replace("{trending: 1}", "{two_tower: 1}"), "order", "add it to sources"),
        (VALID.replace("{trending: 5}", "{given_items: 5}").replace("{trending: 1", "{text: 1"), "sources", "requires"),
        (VALID + "filters: [in_category]", "filters", "add category to requires"),
        (VALID + "filters: [no_socks]", "filters.0", "in_category"),
        (VALID + "colour: red", "colour", "fields surface, about"),
        (VALID + "budget: {total: -1}", "budget.total", "greater than 0"),
        (VALID + "budget: {slow: {disk: 3}}", "budget.slow.disk", "online_store"),
        (VALID + "requires: [mood]", "requires.0", "items, category, query"),
        (VALID.replace("surface: attic", "surface: Attic!"), "surface", "small letters"),
        (VALID.replace("surface: attic", "surface: loft"), "surface", "as its file is named"),
        ("- 3", "no mapping", "fields"),
        ("a: [", "not YAML", "correct it"),
        ("", "no mapping", "fields"),
    ],
)  # fmt: skip
def test_a_wrong_recipe_names_file_field_and_remedy(text: str, field: str, remedy: str) -> None:
    with pytest.raises(ServingError) as caught:
        read_recipe("shelf/attic.yaml", text)
    message = str(caught.value)
    assert "shelf/attic.yaml" in message
    assert field in message
    assert remedy in message


@pytest.mark.parametrize(
    ("request_", "field", "remedy"),
    [
        (RecommendationRequest(surface="attic"), "surface", "home"),
        (RecommendationRequest(surface="similar"), "items", "ids of the items"),
        (RecommendationRequest(surface="category", items=("a",)), "category", "joined with '/'"),
        (RecommendationRequest(filters=Filters(price_min=3, price_max=2)), "filters.price_min", "not above"),
    ],
)
def test_a_request_without_what_its_surface_needs_names_field_and_remedy(
    request_: RecommendationRequest, field: str, remedy: str
) -> None:
    with pytest.raises(ApiProblem) as caught:
        check_request(request_, load_recipes(), "instances[1].")
    assert (caught.value.status, caught.value.field) == (422, f"instances[1].{field}")
    assert remedy in caught.value.remedy
