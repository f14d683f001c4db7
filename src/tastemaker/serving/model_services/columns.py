"""Tensors as rows: one row of every column for each list that is asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tastemaker.serving.oip.parsing import texts
from tastemaker.serving.oip.tensors import InferRequest, InputTensor
from tastemaker.serving.problems import ApiProblem, convert_query

__all__ = ["TEXT", "Column", "described", "read_rows", "to_request"]

TEXT = ("BYTES",)


@dataclass(frozen=True)
class Column:
    """An input.

    Attributes:
        name: of the tensor.
        datatypes: that it may have.
        dimensions: 1 for a value per list, more for values of it.
    """

    name: str
    datatypes: tuple[str, ...] = TEXT
    dimensions: int = 1


def described(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The columns as a model's metadata tells them."""
    return [{"name": one.name, "datatype": one.datatypes[0], "shape": [-1] * one.dimensions} for one in columns]


def read_rows(
    request: InferRequest, values: Mapping[str, list[Any]], columns: Sequence[Column], most: int
) -> list[dict[str, Any]]:
    """The rows.

    Args:
        request: names, datatypes and shapes. A column of one dimension may have one value for all rows alike.
        values: the elements, flat, by name.
        columns: that there may be.
        most: rows that there may be.

    Returns:
        For each row its values by column, nested as the shape says.

    Raises:
        ApiProblem: 400 naming the tensor.
    """
    known = {column.name: column for column in columns}
    read: dict[str, list[Any]] = {}
    for place, tensor in enumerate(request.inputs):
        read[tensor.name] = _nested(tensor, values[tensor.name], known, f"inputs[{place}]")
    count = max((len(column) for column in read.values()), default=0)
    if not 1 <= count <= most:
        raise ApiProblem(400, "inputs", f"{count} lists are asked for", f"ask for 1 to {most}")
    for place, tensor in enumerate(request.inputs):
        column = read[tensor.name]
        if len(column) == 1 and len(tensor.shape) == 1:
            read[tensor.name] = column * count
        elif len(column) != count:
            wanted = f"[{count}] or [1]" if len(tensor.shape) == 1 else f"{count} as the first dimension"
            raise ApiProblem(400, f"inputs[{place}].shape", f"{len(column)} rows for {count} lists", f"send {wanted}")
    return [{name: column[row] for name, column in read.items()} for row in range(count)]


def _nested(tensor: InputTensor, flat: list[Any], known: Mapping[str, Column], field: str) -> list[Any]:
    column = known.get(tensor.name)
    if column is None:
        raise ApiProblem(400, f"{field}.name", f"unknown input {tensor.name!r}", f"use any of: {', '.join(known)}")
    if tensor.datatype not in column.datatypes:
        right = " or ".join(column.datatypes)
        raise ApiProblem(400, f"{field}.datatype", f"{tensor.datatype!r} is wrong for {tensor.name!r}", f"send {right}")
    if len(tensor.shape) != column.dimensions:
        raise ApiProblem(
            400,
            f"{field}.shape",
            f"{tensor.shape} has {len(tensor.shape)} dimensions",
            f"{tensor.name} has {column.dimensions}; the first is the number of lists",
        )
    elements: list[Any] = texts(flat, field) if tensor.datatype == "BYTES" else flat
    if tensor.datatype == "FP32" and not all(math.isfinite(value) for value in elements):
        raise ApiProblem(400, f"{field}.data", "an element is no finite number", "send finite numbers")
    for size in reversed(tensor.shape[1:]):
        if not size:
            return [[] for _ in range(tensor.shape[0])]
        elements = [elements[at : at + size] for at in range(0, len(elements), size)]
    return elements


def to_request(fields: dict[str, Any], kind: Any, tensors: Mapping[str, str], places: Mapping[str, str]) -> Any:
    """A request of the fields of a row.

    Args:
        fields: by name; nothing is there of what is not given.
        kind: the struct.
        tensors: for a field of a request the tensor that it came in, where its name is another.
        places: by tensor, where it is in the body.

    Raises:
        ApiProblem: 400 naming the tensor.
    """
    try:
        return convert_query(fields, kind)
    except ApiProblem as problem:
        field, _, deeper = problem.field.partition("[")
        last = deeper.rpartition(".")[2]
        tensor = tensors.get(f"{field}.{last}", tensors.get(field, field))
        where = places.get(tensor)
        raise ApiProblem(
            400, f"{where}.data" if where else "inputs", f"{problem.field}: {problem.problem}", problem.remedy
        ) from problem
