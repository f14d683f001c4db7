"""A model as an ASGI application: the Open Inference Protocol, v1 and v2, and metrics."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tastemaker.serving.access.install import install_access
from tastemaker.serving.access.middleware import admitted_of
from tastemaker.serving.access.scopes import recommender_scope
from tastemaker.serving.http import json_response, measured, read_body, refusal_body
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.model_services import ranking_tensors, retrieval_tensors
from tastemaker.serving.model_services.any_model import AnyModel
from tastemaker.serving.model_services.chained import as_request
from tastemaker.serving.model_services.columns import Column, described, read_rows
from tastemaker.serving.model_services.contract import RankingRequest, RetrievalRequest
from tastemaker.serving.model_services.plane import ModelPlane
from tastemaker.serving.oip.lists import wanted_outputs
from tastemaker.serving.oip.metadata import PLATFORM
from tastemaker.serving.oip.parsing import parse
from tastemaker.serving.oip.paths import HEADER_LENGTH, OnPaths, tensor_response, v1_paths, v2_paths
from tastemaker.serving.problems import ApiProblem, decode_json
from tastemaker.settings import Settings

__all__ = ["MAX_LISTS", "RANKING", "RETRIEVAL", "ModelKind", "create_model_app"]

# Lists per call: the candidates of so many are within the largest body.
MAX_LISTS = 16


@dataclass(frozen=True)
class ModelKind:
    """What a model is on the wire.

    Attributes:
        name: in the paths.
        request: the struct of an instance.
        inputs: its tensors.
        outputs: those of its answers, as metadata tells them.
        request_of: a request from a row of tensors.
        outputs_of: tensors from answers.
        chained: whether answers of another model are requests of this one.
    """

    name: str
    request: type[Any]
    inputs: Sequence[Column]
    outputs: Sequence[dict[str, Any]]
    request_of: Callable[[dict[str, Any], dict[str, str]], Any]
    outputs_of: Callable[[Sequence[Any]], dict[str, tuple[str, Any]]]
    chained: bool = False


RETRIEVAL = ModelKind(
    "retrieval",
    RetrievalRequest,
    retrieval_tensors.INPUTS,
    retrieval_tensors.OUTPUTS,
    retrieval_tensors.request_of,
    retrieval_tensors.outputs_of,
)
RANKING = ModelKind(
    "ranking",
    RankingRequest,
    ranking_tensors.INPUTS,
    ranking_tensors.OUTPUTS,
    ranking_tensors.request_of,
    ranking_tensors.outputs_of,
    chained=True,
)


def create_model_app(
    kind: ModelKind, open_model: Callable[[Settings], AnyModel], settings: Callable[[], Settings] = Settings.from_env
) -> Starlette:
    """Build the application. Nothing is read or loaded before ``app.state.plane.start()``.

    Args:
        kind: of the model.
        open_model: loads the release; runs in the background thread.
        settings: the platform's settings, read when the release is loaded.
    """
    metrics = ServingMetrics()
    plane = ModelPlane(lambda: open_model(settings()), metrics)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        plane.start()
        yield
        await asyncio.to_thread(plane.stop)

    async def render(request: Request) -> Response:
        body, media_type = metrics.render()
        return Response(body, media_type=media_type)

    async def root(request: Request) -> Response:  # v1's question whether the server is live
        return json_response({"status": "alive", "model": kind.name, "see": f"/v2/models/{kind.name}"})

    async def unknown(request: Request) -> Response:
        raise ApiProblem(
            404,
            "path",
            f"{request.method} is not answered at {request.url.path}",
            f"GET /v2/models/{kind.name} tells what the model takes; POST to /v2/models/{kind.name}/infer",
        )

    model = OnPaths(kind.name, plane, lambda: plane.model.release_id, lambda: _metadata(kind, plane.model.release_id))
    nowhere = measured("unknown", unknown, metrics)

    async def refused(request: Request, _: Exception) -> Response:
        return await nowhere(request)

    app = Starlette(
        routes=[
            *v1_paths(model, _predict(kind, plane)),
            *v2_paths(model, _infer(kind, plane)),
            Route("/metrics", render, methods=["GET"]),
            Route("/", root, methods=["GET"]),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: refused},
    )
    app.state.plane = plane
    install_access(
        app,
        settings,
        recommender_scope,
        refusal_body,
        lambda status: metrics.errors.labels("access", str(status)).inc(),
    )
    return app


def _metadata(kind: ModelKind, release_id: str) -> dict[str, Any]:
    return {
        "name": kind.name,
        "versions": [release_id],
        "platform": PLATFORM,
        "inputs": described(kind.inputs),
        "outputs": list(kind.outputs),
    }


def _predict(kind: ModelKind, plane: ModelPlane) -> Callable[[Request], Any]:
    body_kind = msgspec.defstruct("PredictRequest", [("instances", list[kind.request])])  # type: ignore[name-defined]

    async def predict(request: Request) -> Response:
        body = await read_body(request)
        if kind.chained:
            body, _ = as_request(body, None)
        asked: list[Any] = decode_json(body, body_kind).instances  # type: ignore[attr-defined]
        if not 1 <= len(asked) <= MAX_LISTS:
            raise ApiProblem(422, "instances", f"there are {len(asked)}", f"send 1 to {MAX_LISTS}")
        for place, instance in enumerate(asked):
            plane.model.check(instance, f"instances[{place}].")
        admitted_of(request.scope).charge(len(asked) - 1)
        return json_response({"predictions": await plane.ask(asked)})

    return predict


def _infer(kind: ModelKind, plane: ModelPlane) -> Callable[[Request], Any]:
    async def infer(request: Request) -> Response:
        body = await read_body(request, ("application/json", "application/octet-stream"))
        header_length = request.headers.get(HEADER_LENGTH)
        if kind.chained:
            body, header_length = as_request(body, header_length)
        asked, values = parse(body, header_length)
        wanted = wanted_outputs(asked, [output["name"] for output in kind.outputs])
        places = {tensor.name: f"inputs[{place}]" for place, tensor in enumerate(asked.inputs)}
        requests = [kind.request_of(row, places) for row in read_rows(asked, values, kind.inputs, MAX_LISTS)]
        for one in requests:
            _check(plane.model, one, places)
        admitted_of(request.scope).charge(len(requests) - 1)
        answers = await plane.ask(requests)
        found = kind.outputs_of(answers)
        head = {
            "model_name": kind.name,
            "model_version": answers[0].release,
            "id": asked.id or answers[0].request_id,
            "parameters": {"release": answers[0].release},
        }
        return tensor_response(head, [(name, *found[name], binary) for name, binary in wanted if name in found])

    return infer


def _check(model: AnyModel, request: Any, places: dict[str, str]) -> None:
    """Check what only recipes know; a field that came as a tensor is named by it."""
    try:
        model.check(request)
    except ApiProblem as problem:
        if problem.status != 422:
            raise
        field = problem.field.partition("[")[0]
        where = places.get("sources" if field == "candidates" else field)
        raise ApiProblem(400, f"{where}.data" if where else problem.field, problem.problem, problem.remedy) from problem
