"""Version 2 of the protocol: tensors in, tensors out, in JSON or binary."""

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tastemaker.serving.access.middleware import admitted_of
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.http import Handler, json_response, measured, protocol_problem_body, read_body
from tastemaker.serving.oip.columns import check_lists, requests_of
from tastemaker.serving.oip.lists import head_of, outputs_of, wanted_outputs
from tastemaker.serving.oip.metadata import MODEL, check_model, model_metadata, server_metadata
from tastemaker.serving.oip.parsing import parse
from tastemaker.serving.oip.tensors import encode_answer

__all__ = ["routes"]

_HEADER_LENGTH = "inference-header-content-length"
_PER_MODEL = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")


def routes(plane: DataPlane) -> list[BaseRoute]:
    """The routes under ``/v2``."""

    def check(request: Request) -> None:
        version = request.path_params.get("version")
        release_id = plane.recommender.release_id if version is not None else None
        check_model(request.path_params["model"], version, release_id)

    async def server(request: Request) -> Response:
        return json_response(server_metadata())

    async def live(request: Request) -> Response:
        return json_response({"live": True})

    async def ready(request: Request) -> Response:
        if not plane.ready:
            return json_response({"ready": False, "error": plane.why_not_ready}, 503)
        return json_response({"ready": True})

    async def models(request: Request) -> Response:
        return json_response({"models": [MODEL]})

    async def metadata(request: Request) -> Response:
        check(request)
        return json_response(model_metadata(plane.recommender.release_id))

    async def model_ready(request: Request) -> Response:
        check(request)
        if not plane.ready:
            return json_response({"name": MODEL, "ready": False, "error": plane.why_not_ready}, 503)
        return json_response({"name": MODEL, "ready": True})

    async def infer(request: Request) -> Response:
        check(request)
        body = await read_body(request, ("application/json", "application/octet-stream"))
        asked, values = parse(body, request.headers.get(_HEADER_LENGTH))
        wanted = wanted_outputs(asked)
        lists = requests_of(asked, values)
        check_lists(plane, lists, asked)
        admitted_of(request.scope).charge(len(lists) - 1)
        answers = await plane.recommend(lists, request.headers)
        encoded, json_length = encode_answer(head_of(asked, answers), outputs_of(wanted, answers))
        if json_length is None:
            response = Response(encoded, media_type="application/json")
        else:
            response = Response(
                encoded, headers={_HEADER_LENGTH: str(json_length)}, media_type="application/octet-stream"
            )
        response.background = BackgroundTask(plane.record, answers)
        return response

    def route(path: str, name: str, handler: Handler, method: str = "GET") -> Route:
        endpoint = measured(name, handler, plane.metrics, protocol_problem_body, contract_status=400)
        return Route(path, endpoint, methods=[method])

    return [
        route("/v2", "v2_server", server),
        route("/v2/health/live", "v2_live", live),
        route("/v2/health/ready", "v2_ready", ready),
        route("/v2/models", "v2_models", models),
        *(route(path, "v2_model", metadata) for path in _PER_MODEL),
        *(route(f"{path}/ready", "v2_model_ready", model_ready) for path in _PER_MODEL),
        *(route(f"{path}/infer", "v2_infer", infer, "POST") for path in _PER_MODEL),
    ]
