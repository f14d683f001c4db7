"""Version 1 of the protocol: JSON instances in, JSON predictions out."""

from typing import Annotated

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tastemaker.serving.access.middleware import admitted_of
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.http import json_response, read_body
from tastemaker.serving.json_api import with_items
from tastemaker.serving.oip.metadata import MAX_LISTS
from tastemaker.serving.oip.paths import v1_paths
from tastemaker.serving.oip.recommender import recommender_on_paths
from tastemaker.serving.problems import decode_json

__all__ = ["PredictRequest", "routes"]


class PredictRequest(msgspec.Struct, kw_only=True):
    """The body of a prediction.

    Attributes:
        instances: one recommendation request for each list wanted.
    """

    instances: Annotated[list[RecommendationRequest], msgspec.Meta(min_length=1, max_length=MAX_LISTS)]


def routes(plane: DataPlane) -> list[BaseRoute]:
    """The recommender's routes under ``/v1/models``."""

    async def predict(request: Request) -> Response:
        asked = decode_json(await read_body(request), PredictRequest).instances
        for place, instance in enumerate(asked):
            plane.check(instance, f"instances[{place}].")
        admitted_of(request.scope).charge(len(asked) - 1)
        answers = await plane.recommend(asked, request.headers)
        response = json_response({"predictions": [with_items(answer) for answer, _ in answers]})
        response.background = BackgroundTask(plane.record, answers)
        return response

    return v1_paths(recommender_on_paths(plane), predict)
