"""Reading the tensors of an inference request, in JSON and in binary; see :mod:`tastemaker.serving.oip.tensors`."""

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from tastemaker.serving.oip.tensors import InferRequest
from tastemaker.serving.problems import ApiProblem, decode_json

__all__ = ["element_count", "elements_of_binary", "elements_of_list", "parse", "texts"]

_NUMBERS: dict[str, np.dtype[Any]] = {
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP32": np.dtype("<f4"),
}
# What elements of JSON may be, and what they are called.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {"BYTES": ((str, bytes), "text"), "FP32": ((int, float), "numbers")}
_WHOLE: tuple[tuple[type, ...], str] = ((int,), "whole numbers")
_LARGEST = 1 << 20  # elements; a body of 1 MiB holds fewer


def parse(body: bytes, header_length: str | None) -> tuple[InferRequest, dict[str, list[Any]]]:
    """Read an inference request.

    Args:
        body: the JSON, and after it the binary tensors.
        header_length: bytes of JSON, from the header ``Inference-Header-Content-Length``; None: all.

    Returns:
        The request, and each input's elements by name, flat: ``bytes`` or ``str`` for BYTES, else numbers.

    Raises:
        ApiProblem: 400, naming the field.
    """
    length = len(body)
    if header_length is not None:
        if not header_length.isdigit() or int(header_length) > len(body):
            raise ApiProblem(
                400,
                "inference-header-content-length",
                f"{header_length!r} is not a number of bytes within the body, which has {len(body)}",
                "send the length of the JSON in bytes",
            )
        length = int(header_length)
    request = decode_json(body[:length], InferRequest, invalid_status=400)
    binary = memoryview(body)[length:]
    values: dict[str, list[Any]] = {}
    for place, tensor in enumerate(request.inputs):
        field = f"inputs[{place}]"
        if tensor.name in values:
            raise ApiProblem(400, f"{field}.name", f"{tensor.name!r} is there twice", "send each input once")
        size = element_count(tensor.shape, field)
        taken = tensor.parameters.get("binary_data_size")
        if tensor.data is not None:
            values[tensor.name] = elements_of_list(tensor.datatype, _flat(tensor.data, size), size, field)
        elif isinstance(taken, int) and not isinstance(taken, bool) and 0 <= taken <= len(binary):
            where = f"{field}.parameters.binary_data_size"
            values[tensor.name] = elements_of_binary(tensor.datatype, bytes(binary[:taken]), size, field, where)
            binary = binary[taken:]
        else:
            raise _no_data(taken, len(binary), field)
    if len(binary):
        raise ApiProblem(400, "inputs", f"{len(binary)} bytes follow the last tensor", "check binary_data_size")
    return request, values


def _no_data(taken: Any, left: int, field: str) -> ApiProblem:
    if taken is None:
        return ApiProblem(400, f"{field}.data", "is required", "send the elements as data, or binary_data_size")
    return ApiProblem(
        400,
        f"{field}.parameters.binary_data_size",
        f"{taken!r} is not a number of bytes within the {left} that follow",
        "send as many bytes after the JSON as the tensors announce",
    )


def element_count(shape: Sequence[int], field: str) -> int:
    """How many elements a shape has.

    Raises:
        ApiProblem: 400, a dimension is negative or too large, or there are too many elements.
    """
    size = math.prod(shape)
    # Each by itself as well: beside a 0 none of the others would count.
    if any(not 0 <= dimension <= _LARGEST for dimension in shape) or size > _LARGEST:
        raise ApiProblem(
            400, f"{field}.shape", f"{list(shape)} is not a shape of a request", "send [n], n lists wanted"
        )
    return size


def _mismatch(count: int, size: int, field: str) -> ApiProblem:
    return ApiProblem(400, f"{field}.shape", f"the shape says {size} elements, there are {count}", "make them agree")


def elements_of_list(datatype: str, flat: list[Any], size: int, field: str) -> list[Any]:
    """Check elements that came one by one.

    Args:
        datatype: what they are said to be.
        flat: the elements, in row-major order.
        size: how many the shape announces.
        field: path of the tensor in the request.

    Raises:
        ApiProblem: 400, naming the field.
    """
    if len(flat) != size:
        raise _mismatch(len(flat), size, field)
    kind, named = _KINDS.get(datatype, _WHOLE)
    if any(not isinstance(value, kind) or isinstance(value, bool) for value in flat):
        raise ApiProblem(400, f"{field}.data", f"not all elements are {named}", f"{datatype} holds {named}")
    return flat


def _flat(data: list[Any], size: int) -> list[Any]:
    """Row-major elements of nested lists; stops soon after ``size`` of them."""
    flat: list[Any] = []
    stack = [iter(data)]
    while stack and len(flat) <= size:
        for value in stack[-1]:
            if isinstance(value, list):
                stack.append(iter(value))
                break
            flat.append(value)
        else:
            stack.pop()
    return flat


def elements_of_binary(datatype: str, raw: bytes, size: int, field: str, where: str) -> list[Any]:
    """Read elements that came as bytes.

    Args:
        datatype: BYTES, INT32, INT64 or FP32.
        raw: little-endian values; an element of BYTES is its length in 4 bytes, then its bytes.
        size: how many the shape announces.
        field: path of the tensor in the request.
        where: path of what tells or holds the bytes.

    Raises:
        ApiProblem: 400, naming the field.
    """
    if datatype == "BYTES":
        return _read_bytes(raw, size, field, where)
    if datatype not in _NUMBERS:
        raise ApiProblem(400, f"{field}.datatype", f"{datatype!r} is not read here", "send BYTES, INT32, INT64 or FP32")
    dtype = _NUMBERS[datatype]
    if len(raw) != size * dtype.itemsize:
        raise ApiProblem(
            400,
            where,
            f"{len(raw)} bytes are not {size} elements of {datatype}",
            f"send {size * dtype.itemsize} bytes",
        )
    elements: list[Any] = np.frombuffer(raw, dtype).tolist()
    return elements


def _read_bytes(raw: bytes, size: int, field: str, where: str) -> list[bytes]:
    elements: list[bytes] = []
    at = 0
    while at < len(raw):
        end = at + 4
        if end <= len(raw):
            end += struct.unpack_from("<I", raw, at)[0]
        if end > len(raw) or at + 4 > len(raw):
            raise ApiProblem(
                400,
                where,
                f"element {len(elements)} is cut off: it ends at byte {max(end, at + 4)} of {len(raw)}",
                "send each element as its length in 4 bytes, little-endian, and then its bytes",
            )
        elements.append(raw[at + 4 : end])
        at = end
    if len(elements) != size:
        raise _mismatch(len(elements), size, field)
    return elements


def texts(values: Sequence[Any], field: str) -> list[str]:
    """BYTES elements as text.

    Raises:
        ApiProblem: 400, an element is not UTF-8.
    """
    try:
        return [value.decode() if isinstance(value, bytes) else value for value in values]
    except UnicodeDecodeError as error:
        raise ApiProblem(400, f"{field}.data", f"an element is not UTF-8: {error}", "encode ids in UTF-8") from error
