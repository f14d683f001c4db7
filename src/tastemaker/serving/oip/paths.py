"""The paths of the Open Inference Protocol, v1 and v2, for one model: what is the same whatever the model does.

Source: https://github.com/kserve/open-inference-protocol, and for v1 KServe's "V1 Inference Protocol".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tastemaker.serving.http import Handler, json_response, measured, protocol_problem_body
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.oip.metadata import check_model, server_metadata
from tastemaker.serving.oip.tensors import encode_answer

__all__ = ["HEADER_LENGTH", "OnPaths", "Readiness", "tensor_response", "v1_paths", "v2_paths"]

HEADER_LENGTH = "inference-header-content-length"
_PER_MODEL = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")


class Readiness(Protocol):
    """What loads a model."""

    metrics: ServingMetrics

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""

    @property
    def why_not_ready(self) -> str:
        """What it waits for."""


@dataclass(frozen=True)
class OnPaths:
    """A model on the protocol's paths.

    Attributes:
        name: in the paths.
        plane: loads it.
        release_id: gives its version; raises ApiProblem 503 while there is none.
        metadata: gives the answer to ``GET /v2/models/NAME``; likewise.
    """

    name: str
    plane: Readiness
    release_id: Callable[[], str]
    metadata: Callable[[], dict[str, Any]]


def v1_paths(model: OnPaths, predict: Handler) -> list[BaseRoute]:
    """The routes under ``/v1/models``.

    Args:
        model: whose.
        predict: answers once the model's name was checked.
    """

    async def models(request: Request) -> Response:
        return json_response({"models": [model.name]})

    async def about(request: Request) -> Response:
        check_model(request.path_params["model"], serves=model.name)
        return _ready(model)

    async def checked(request: Request) -> Response:
        check_model(request.path_params["model"], serves=model.name)
        return await predict(request)

    return [
        _route(model, "/v1/models", "v1_models", models),
        _route(model, "/v1/models/{model}:predict", "v1_predict", checked, "POST"),
        _route(model, "/v1/models/{model}", "v1_model", about),
    ]


def v2_paths(model: OnPaths, infer: Handler) -> list[BaseRoute]:
    """The routes under ``/v2``.

    Args:
        model: whose.
        infer: answers once the model's name and version were checked.
    """

    def check(request: Request) -> None:
        version = request.path_params.get("version")
        release_id = model.release_id() if version is not None else None
        check_model(request.path_params["model"], version, release_id, serves=model.name)

    async def server(request: Request) -> Response:
        return json_response(server_metadata())

    async def live(request: Request) -> Response:
        return json_response({"live": True})

    async def ready(request: Request) -> Response:
        if not model.plane.ready:
            return json_response({"ready": False, "error": model.plane.why_not_ready}, 503)
        return json_response({"ready": True})

    async def models(request: Request) -> Response:
        return json_response({"models": [model.name]})

    async def metadata(request: Request) -> Response:
        check(request)
        return json_response(model.metadata())

    async def model_ready(request: Request) -> Response:
        check(request)
        return _ready(model)

    async def checked(request: Request) -> Response:
        check(request)
        return await infer(request)

    return [
        _route(model, "/v2", "v2_server", server),
        _route(model, "/v2/health/live", "v2_live", live),
        _route(model, "/v2/health/ready", "v2_ready", ready),
        _route(model, "/v2/models", "v2_models", models),
        *(_route(model, path, "v2_model", metadata) for path in _PER_MODEL),
        *(_route(model, f"{path}/ready", "v2_model_ready", model_ready) for path in _PER_MODEL),
        *(_route(model, f"{path}/infer", "v2_infer", checked, "POST") for path in _PER_MODEL),
    ]


def tensor_response(head: dict[str, Any], outputs: Any) -> Response:
    """An answer of tensors; arguments as of :func:`tastemaker.serving.oip.tensors.encode_answer`."""
    encoded, json_length = encode_answer(head, outputs)
    if json_length is None:
        return Response(encoded, media_type="application/json")
    return Response(encoded, headers={HEADER_LENGTH: str(json_length)}, media_type="application/octet-stream")


def _ready(model: OnPaths) -> Response:
    if not model.plane.ready:
        return json_response({"name": model.name, "ready": False, "error": model.plane.why_not_ready}, 503)
    return json_response({"name": model.name, "ready": True})


def _route(model: OnPaths, path: str, name: str, handler: Handler, method: str = "GET") -> Route:
    endpoint = measured(name, handler, model.plane.metrics, protocol_problem_body, contract_status=400)
    return Route(path, endpoint, methods=[method])
