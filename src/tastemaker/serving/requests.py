"""Whether a request is what its surface needs: what the types of its fields do not say."""

from collections.abc import Iterator, Mapping

from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.problems import ApiProblem
from tastemaker.serving.recipe import Recipe

__all__ = ["check_request", "trial_requests"]

_REMEDIES = {
    "items": "send the ids of the items that the list goes with: the page's item, the cart's, or those to put in order",
    "category": "send the category of the page, its levels joined with '/'",
    "query": "send the text that was searched for",
}


def check_request(request: RecommendationRequest, recipes: Mapping[str, Recipe], where: str = "") -> Recipe:
    """The recipe of a request that has all that it needs.

    Args:
        request: decoded, so that its types are right.
        recipes: by surface.
        where: path of the request in the body, ending in a dot, such as ``instances[2].``.

    Raises:
        ApiProblem: 422, naming the field and the remedy.
    """
    recipe = recipes.get(request.surface)
    if recipe is None:
        raise ApiProblem(
            422, f"{where}surface", f"unknown surface {request.surface!r}", f"use one of: {', '.join(recipes)}"
        )
    for field in recipe.requires:
        if not getattr(request, field):
            raise ApiProblem(422, f"{where}{field}", f"is required by the surface {recipe.surface!r}", _REMEDIES[field])
    filters = request.filters
    if filters.price_min is not None and filters.price_max is not None and filters.price_min > filters.price_max:
        raise ApiProblem(
            422,
            f"{where}filters.price_min",
            f"{filters.price_min:g} is more than price_max, {filters.price_max:g}, so that no item is within them",
            "send a price_min that is not above price_max, or leave one of them out",
        )
    return recipe


def trial_requests(recipes: Mapping[str, Recipe], items: tuple[str, ...]) -> Iterator[RecommendationRequest]:
    """For each surface a request of an unknown user and one of nobody, with what the surface needs.

    Args:
        recipes: by surface.
        items: ids to give where a surface needs some.
    """
    for surface, recipe in recipes.items():
        for user in ("warm-up", None):
            yield RecommendationRequest(
                surface=surface,
                user=user,
                items=items if "items" in recipe.requires else (),
                category="warm-up" if "category" in recipe.requires else None,
                query="warm-up" if "query" in recipe.requires else None,
            )
