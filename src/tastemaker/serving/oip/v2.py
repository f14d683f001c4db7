"""Version 2 of the protocol: tensors in, tensors out, in JSON or binary."""

from typing import Any

import numpy as np
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.data_plane import Answer, DataPlane
from tastemaker.serving.http import Handler, json_response, measured, protocol_problem_body, read_body
from tastemaker.serving.oip.metadata import (
    INPUTS,
    MAX_LISTS,
    MODEL,
    OUTPUTS,
    check_model,
    model_metadata,
    server_metadata,
)
from tastemaker.serving.oip.parsing import parse, texts
from tastemaker.serving.oip.tensors import InferRequest, encode_answer
from tastemaker.serving.problems import ApiProblem, convert_query

__all__ = ["requests_of", "routes", "tensors_of"]

_HEADER_LENGTH = "inference-header-content-length"
_DATATYPES = {"k": ("INT32", "INT64")} | {name: ("BYTES",) for name in ("user", "session", "surface")}
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
        wanted = _wanted(asked)
        lists = requests_of(asked, values)
        for one in lists:
            _check(plane, one, asked)
        answers = await plane.recommend(lists)
        release_id = answers[0][0].release
        head = {
            "model_name": MODEL,
            "model_version": release_id,
            "id": asked.id or answers[0][0].request_id,
            "parameters": {"release": release_id},
        }
        tensors = tensors_of(answers)
        outputs = [(name, *tensors[name], binary) for name, binary in wanted]
        encoded, json_length = encode_answer(head, outputs)
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


def _wanted(request: InferRequest) -> list[tuple[str, bool]]:
    """Names of the outputs to answer, and whether each is binary."""
    all_binary = request.parameters.get("binary_data_output") is True
    known = [output["name"] for output in OUTPUTS]
    if not request.outputs:
        return [(name, all_binary) for name in known]
    for place, output in enumerate(request.outputs):
        if output.name not in known:
            raise ApiProblem(
                400, f"outputs[{place}].name", f"unknown output {output.name!r}", f"use any of: {', '.join(known)}"
            )
    return [(output.name, output.parameters.get("binary_data", all_binary) is True) for output in request.outputs]


def requests_of(request: InferRequest, values: dict[str, list[Any]]) -> list[RecommendationRequest]:
    """The lists that input tensors ask for.

    Args:
        request: names, datatypes and shapes. ``user`` is required, of shape [n]; the others are [n], or [1] for
            all lists alike. An empty text is an absent id.
        values: the elements, flat, by name.

    Raises:
        ApiProblem: 400 naming the tensor.
    """
    columns: dict[str, list[Any]] = {}
    places = {tensor.name: f"inputs[{place}]" for place, tensor in enumerate(request.inputs)}
    for tensor in request.inputs:
        field = places[tensor.name]
        if tensor.name not in _DATATYPES:
            known = ", ".join(known["name"] for known in INPUTS)
            raise ApiProblem(400, f"{field}.name", f"unknown input {tensor.name!r}", f"use any of: {known}")
        if tensor.datatype not in _DATATYPES[tensor.name]:
            right = " or ".join(_DATATYPES[tensor.name])
            raise ApiProblem(
                400, f"{field}.datatype", f"{tensor.datatype!r} is wrong for {tensor.name!r}", f"send {right}"
            )
        if len(tensor.shape) != 1:
            raise ApiProblem(400, f"{field}.shape", f"{tensor.shape} is not a vector", "send [n], n lists wanted")
        texts_wanted = tensor.datatype == "BYTES"
        columns[tensor.name] = texts(values[tensor.name], field) if texts_wanted else values[tensor.name]
    if "user" not in columns:
        raise ApiProblem(400, "inputs", "the input 'user' is missing", "send it; an empty text is an unknown shopper")
    count = len(columns["user"])
    if not 1 <= count <= MAX_LISTS:
        raise ApiProblem(400, f"{places['user']}.shape", f"{count} lists are asked for", f"ask for 1 to {MAX_LISTS}")
    for name, column in columns.items():
        if len(column) == 1:
            columns[name] = column * count
        elif len(column) != count:
            raise ApiProblem(
                400, f"{places[name]}.shape", f"{len(column)} elements for {count} users", f"send [{count}] or [1]"
            )
    return [_request({name: column[row] for name, column in columns.items()}, places) for row in range(count)]


def _request(fields: dict[str, Any], places: dict[str, str]) -> RecommendationRequest:
    fields = {name: value for name, value in fields.items() if value != ""}
    try:
        return convert_query(fields, RecommendationRequest)
    except ApiProblem as problem:
        tensor = places.get(problem.field, "inputs")
        raise ApiProblem(400, f"{tensor}.data", f"{problem.field}: {problem.problem}", problem.remedy) from problem


def _check(plane: DataPlane, one: RecommendationRequest, asked: InferRequest) -> None:
    """Check what only recipes and catalogue know; a field that came as a tensor is named by it."""
    try:
        plane.check(one)
    except ApiProblem as problem:
        places = {tensor.name: f"inputs[{place}]" for place, tensor in enumerate(asked.inputs)}
        if problem.status != 422:
            raise
        field = f"{places[problem.field]}.data" if problem.field in places else problem.field
        raise ApiProblem(400, field, problem.problem, problem.remedy) from problem


def tensors_of(answers: list[Answer]) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    """Lists as output tensors.

    Args:
        answers: n of them.

    Returns:
        By output name its datatype and elements. ``item_ids`` and ``scores`` are [n, k], k being the longest list;
        shorter lists are filled up with empty ids and scores of 0, and ``lengths`` [n] tells where they end.
    """
    lists = [response for response, _ in answers]
    width = max(len(response.items) for response in lists)
    item_ids = np.full((len(lists), width), "", dtype=object)
    scores = np.zeros((len(lists), width), dtype="<f4")
    for row, response in enumerate(lists):
        for place, item in enumerate(response.items):
            item_ids[row, place] = item.item_id
            scores[row, place] = item.score
    return {
        "item_ids": ("BYTES", item_ids),
        "scores": ("FP32", scores),
        "lengths": ("INT32", np.array([len(response.items) for response in lists], dtype="<i4")),
        "request_ids": ("BYTES", np.array([response.request_id for response in lists], dtype=object)),
        "tiers": ("BYTES", np.array([response.tier for response in lists], dtype=object)),
    }
