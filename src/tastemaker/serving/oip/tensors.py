"""Tensors of the Open Inference Protocol, in JSON and in its binary extension.

Source: the Open Inference Protocol (https://github.com/kserve/open-inference-protocol), "Inference REST API" and the
binary tensor data extension of NVIDIA Triton: raw little-endian values follow the JSON; an element of BYTES is its
length in 4 bytes, then its bytes.
"""

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

__all__ = ["InferRequest", "InputTensor", "OutputTensor", "RequestedOutput", "encode_answer", "write_bytes"]


class InputTensor(msgspec.Struct, kw_only=True):
    """One input.

    Attributes:
        name: as in the model's metadata.
        datatype: BYTES, INT32, INT64 or FP32.
        shape: its dimensions.
        data: the elements, flat or nested by ``shape``; left out when they follow the JSON.
        parameters: ``binary_data_size``: bytes that it takes after the JSON.
    """

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class RequestedOutput(msgspec.Struct, kw_only=True):
    """An output that the caller wants.

    Attributes:
        name: as in the model's metadata.
        parameters: ``binary_data``: whether it follows the JSON in binary.
    """

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct, kw_only=True):
    """The body of an inference request.

    Attributes:
        id: returned with the answer.
        parameters: ``binary_data_output``: whether all outputs follow the JSON in binary.
        inputs: the tensors.
        outputs: the outputs wanted; all of them when left out.
    """

    inputs: list[InputTensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[RequestedOutput] | None = None


class OutputTensor(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One output.

    Attributes:
        name: as in the model's metadata.
        datatype: BYTES, FP32 or INT32.
        shape: its dimensions.
        data: the elements, flat in row-major order; left out when they follow the JSON.
        parameters: ``binary_data_size``: bytes that it takes after the JSON.
    """

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


def encode_answer(
    head: dict[str, Any], outputs: Sequence[tuple[str, str, np.ndarray[Any, Any], bool]]
) -> tuple[bytes, int | None]:
    """The body of an answer.

    Args:
        head: ``model_name``, ``model_version``, ``id`` and ``parameters``.
        outputs: name, datatype, elements of any shape, and whether they follow the JSON in binary.

    Returns:
        The body, and how many bytes of it are JSON where binary tensors follow.
    """
    tensors: list[OutputTensor] = []
    parts: list[bytes] = []
    for name, datatype, array, binary in outputs:
        tensor = OutputTensor(name=name, datatype=datatype, shape=list(array.shape))
        if binary:
            raw = write_bytes(array) if datatype == "BYTES" else np.ascontiguousarray(array).tobytes()
            tensor.parameters = {"binary_data_size": len(raw)}
            parts.append(raw)
        else:
            tensor.data = array.ravel().tolist()
        tensors.append(tensor)
    encoded = msgspec.json.encode({**head, "outputs": tensors})
    return (b"".join([encoded, *parts]), len(encoded)) if parts else (encoded, None)


def write_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """Texts of any shape as BYTES in binary, in row-major order."""
    elements = [element.encode() for element in array.ravel().tolist()]
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)
