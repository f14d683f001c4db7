"""Version 2 of the protocol: tensors in, tensors out, in JSON or binary."""

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tastemaker.serving.access.middleware import admitted_of
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.http import read_body
from tastemaker.serving.oip.columns import check_lists, requests_of
from tastemaker.serving.oip.lists import head_of, outputs_of, wanted_outputs
from tastemaker.serving.oip.parsing import parse
from tastemaker.serving.oip.paths import HEADER_LENGTH, tensor_response, v2_paths
from tastemaker.serving.oip.recommender import recommender_on_paths

__all__ = ["routes"]


def routes(plane: DataPlane) -> list[BaseRoute]:
    """The recommender's routes under ``/v2``."""

    async def infer(request: Request) -> Response:
        body = await read_body(request, ("application/json", "application/octet-stream"))
        asked, values = parse(body, request.headers.get(HEADER_LENGTH))
        wanted = wanted_outputs(asked)
        lists = requests_of(asked, values)
        check_lists(plane, lists, asked)
        admitted_of(request.scope).charge(len(lists) - 1)
        answers = await plane.recommend(lists, request.headers)
        response = tensor_response(head_of(asked, answers), outputs_of(wanted, answers))
        response.background = BackgroundTask(plane.record, answers)
        return response

    return v2_paths(recommender_on_paths(plane), infer)
