"""The typed JSON API: a list for a shopper, by POST with a body or by GET for a terminal."""

from dataclasses import asdict
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tastemaker import __version__
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.http import json_response, measured, read_body
from tastemaker.serving.problems import ApiProblem, convert_query, decode_json

__all__ = ["QUERY_PARAMETERS", "routes", "with_items"]

QUERY_PARAMETERS = ("user", "session", "k", "surface", "items", "category", "query", "exclude", "explain")
_REPEATED = frozenset({"exclude", "items"})


def routes(plane: DataPlane) -> list[BaseRoute]:
    """The routes of the JSON API."""

    async def answer(asked: RecommendationRequest, request: Request) -> Response:
        plane.check(asked)
        answers = await plane.recommend([asked], request.headers)
        response = json_response(with_items(answers[0][0]))
        response.background = BackgroundTask(plane.record, answers)
        return response

    async def post(request: Request) -> Response:
        return await answer(decode_json(await read_body(request), RecommendationRequest), request)

    async def get(request: Request) -> Response:
        return await answer(_from_query(request), request)

    async def release(request: Request) -> Response:
        recommender = plane.recommender
        surfaces = {
            name: {"about": recipe.about, "requires": list(recipe.requires)}
            for name, recipe in recommender.recipes.items()
        }
        told: dict[str, Any] = {"release": recommender.release_id, "version": __version__, "surfaces": surfaces}
        if plane.successor is not None:
            told["successor"] = asdict(plane.successor)
        if plane.trial is not None:
            told["trial"] = asdict(plane.trial)
        return json_response(told)

    async def metrics(request: Request) -> Response:
        body, media_type = plane.metrics.render()
        return Response(body, media_type=media_type)

    return [
        Route("/v1/recommend", measured("recommend", post, plane.metrics), methods=["POST"]),
        Route("/v1/recommend", measured("recommend", get, plane.metrics), methods=["GET"]),
        Route("/v1/release", measured("release", release, plane.metrics), methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]


def with_items(response: RecommendationResponse) -> RecommendationResponse | dict[str, Any]:
    """The response as it goes out: ``items`` is there even when it is empty, where the struct would leave it out."""
    if response.items:
        return response
    fields = {name: getattr(response, name) for name in response.__struct_fields__}
    return {name: value for name, value in fields.items() if value or name == "items"}


def _from_query(request: Request) -> RecommendationRequest:
    """The request that query parameters spell; ``items`` and ``exclude`` may be repeated.

    Raises:
        ApiProblem: 422, naming the parameter.
    """
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name not in QUERY_PARAMETERS:
            raise ApiProblem(
                422, name, "is not a parameter of this request", f"use any of: {', '.join(QUERY_PARAMETERS)}"
            )
        if name in _REPEATED:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise ApiProblem(422, name, "is given twice", "give it once")
        else:
            values[name] = value
    return convert_query(values, RecommendationRequest)
