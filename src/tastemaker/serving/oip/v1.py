"""Version 1 of the protocol: JSON instances in, JSON predictions out."""

from typing import Annotated

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tastemaker.serving.access.middleware import admitted_of
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.http import Handler, json_response, measured, protocol_problem_body, read_body
from tastemaker.serving.json_api import with_items
from tastemaker.serving.oip.metadata import MAX_LISTS, MODEL, check_model
from tastemaker.serving.problems import decode_json

__all__ = ["PredictRequest", "routes"]


class PredictRequest(msgspec.Struct, kw_only=True):
    """The body of a prediction.

    Attributes:
        instances: one recommendation request for each list wanted.
    """

    instances: Annotated[list[RecommendationRequest], msgspec.Meta(min_length=1, max_length=MAX_LISTS)]


def routes(plane: DataPlane) -> list[BaseRoute]:
    """The routes under ``/v1/models``."""

    async def models(request: Request) -> Response:
        return json_response({"models": [MODEL]})

    async def model(request: Request) -> Response:
        check_model(request.path_params["model"])
        if not plane.ready:
            return json_response({"name": MODEL, "ready": False, "error": plane.why_not_ready}, 503)
        return json_response({"name": MODEL, "ready": True})

    async def predict(request: Request) -> Response:
        check_model(request.path_params["model"])
        asked = decode_json(await read_body(request), PredictRequest).instances
        for place, instance in enumerate(asked):
            plane.check(instance, f"instances[{place}].")
        admitted_of(request.scope).charge(len(asked) - 1)
        answers = await plane.recommend(asked, request.headers)
        response = json_response({"predictions": [with_items(answer) for answer, _ in answers]})
        response.background = BackgroundTask(plane.record, answers)
        return response

    def route(path: str, name: str, handler: Handler, method: str = "GET") -> Route:
        endpoint = measured(name, handler, plane.metrics, protocol_problem_body, contract_status=400)
        return Route(path, endpoint, methods=[method])

    return [
        route("/v1/models", "v1_models", models),
        route("/v1/models/{model}:predict", "v1_predict", predict, "POST"),
        route("/v1/models/{model}", "v1_model", model),
    ]
