"""Input tensors as recommendation requests: one column per field, one row per list."""

from collections.abc import Sequence
from typing import Any

from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.oip.metadata import INPUTS, MAX_LISTS
from tastemaker.serving.oip.parsing import texts
from tastemaker.serving.oip.tensors import InferRequest, InputTensor
from tastemaker.serving.problems import ApiProblem, convert_query

__all__ = ["check_lists", "requests_of"]

# More than one datatype where a client may have a whole number in another size.
_DATATYPES = {tensor["name"]: (tensor["datatype"],) for tensor in INPUTS} | {"k": ("INT32", "INT64")}
_DIMENSIONS = {tensor["name"]: len(tensor["shape"]) for tensor in INPUTS}


def requests_of(request: InferRequest, values: dict[str, list[Any]]) -> list[RecommendationRequest]:
    """The lists that input tensors ask for.

    Args:
        request: names, datatypes and shapes. ``user`` is required, of shape [n]; the others are [n], or [1] for
            all lists alike; ``items`` and ``exclude`` are [n, m] or [1, m]. An empty text is an absent id.
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
        if len(tensor.shape) != _DIMENSIONS[tensor.name]:
            raise _wrong_shape(tensor, field)
        texts_wanted = tensor.datatype == "BYTES"
        column = texts(values[tensor.name], field) if texts_wanted else values[tensor.name]
        if len(tensor.shape) == 2 and tensor.shape[0] > MAX_LISTS:  # as many rows as one likes have no elements
            raise _wrong_shape(tensor, field)
        columns[tensor.name] = column if len(tensor.shape) == 1 else _rows(column, *tensor.shape)
    if "user" not in columns:
        raise ApiProblem(400, "inputs", "the input 'user' is missing", "send it; an empty text is an unknown shopper")
    count = len(columns["user"])
    if not 1 <= count <= MAX_LISTS:
        raise ApiProblem(400, f"{places['user']}.shape", f"{count} lists are asked for", f"ask for 1 to {MAX_LISTS}")
    for name, column in columns.items():
        if len(column) == 1:
            columns[name] = column * count
        elif len(column) != count:
            more = ", m" * (_DIMENSIONS[name] - 1)
            told = f"{len(column)} {'rows' if more else 'elements'} for {count} users"
            raise ApiProblem(400, f"{places[name]}.shape", told, f"send [{count}{more}] or [1{more}]")
    return [_request({name: column[row] for name, column in columns.items()}, places) for row in range(count)]


def _wrong_shape(tensor: InputTensor, field: str) -> ApiProblem:
    if _DIMENSIONS[tensor.name] == 1:
        return ApiProblem(400, f"{field}.shape", f"{tensor.shape} is not a vector", "send [n], n lists wanted")
    remedy = f"send [n, m], m ids for each of n lists, {MAX_LISTS} at most; empty texts fill up shorter rows"
    return ApiProblem(400, f"{field}.shape", f"{tensor.shape} is not ids for each list", remedy)


def _rows(flat: list[str], count: int, width: int) -> list[list[str]]:
    """For each list its ids, without what fills it up."""
    return [[text for text in flat[row * width : (row + 1) * width] if text] for row in range(count)]


def _request(fields: dict[str, Any], places: dict[str, str]) -> RecommendationRequest:
    fields = {name: value for name, value in fields.items() if value != ""}
    try:
        return convert_query(fields, RecommendationRequest)
    except ApiProblem as problem:
        tensor = places.get(problem.field.partition("[")[0], "inputs")
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
            field = places.get(problem.field.partition("[")[0], problem.field)
            raise ApiProblem(400, field, problem.problem, problem.remedy) from problem
