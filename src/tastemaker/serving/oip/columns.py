"""Input tensors as recommendation requests: one column per field, one row per list."""

from collections.abc import Sequence
from typing import Any

from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.oip.metadata import INPUTS, MAX_LISTS
from tastemaker.serving.oip.parsing import texts
from tastemaker.serving.oip.tensors import InferRequest
from tastemaker.serving.problems import ApiProblem, convert_query

__all__ = ["check_lists", "requests_of"]

_DATATYPES = {"k": ("INT32", "INT64")} | {name: ("BYTES",) for name in ("user", "session", "surface")}


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


def check_lists(plane: DataPlane, lists: Sequence[RecommendationRequest], asked: InferRequest) -> None:
    """Check what only recipes and catalogue know; a field that came as a tensor is named by it.

    Raises:
        ApiProblem: 400 naming the tensor or the field; 503 without a release.
    """
    for one in lists:
        try:
            plane.check(one)
        except ApiProblem as problem:
            if problem.status != 422:
                raise
            places = {tensor.name: f"inputs[{place}].data" for place, tensor in enumerate(asked.inputs)}
            field = places.get(problem.field, problem.field)
            raise ApiProblem(400, field, problem.problem, problem.remedy) from problem
