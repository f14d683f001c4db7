"""Messages of the protocol over gRPC, and what they are over REST: both end in the same structs."""

from typing import Any

import numpy as np

from tastemaker.serving.oip.lists import Output
from tastemaker.serving.oip.messages import messages
from tastemaker.serving.oip.metadata import model_metadata
from tastemaker.serving.oip.parsing import element_count, elements_of_binary, elements_of_list
from tastemaker.serving.oip.tensors import InferRequest, InputTensor, RequestedOutput, write_bytes
from tastemaker.serving.problems import ApiProblem

__all__ = ["decode", "model_metadata_message", "read_request", "write_response"]

_TYPED = {"BYTES": "bytes_contents", "INT32": "int_contents", "INT64": "int64_contents", "FP32": "fp32_contents"}
_READ = ("BYTES", "INT32", "INT64")


def decode(raw: bytes, kind: Any) -> Any:
    """A message.

    Args:
        raw: as it came.
        kind: the message's class.

    Raises:
        ApiProblem: 400, the bytes are no such message.
    """
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise ApiProblem(
            400, "", f"the {len(raw)} bytes are no {kind.DESCRIPTOR.name}", "encode it by grpc_predict_v2.proto"
        ) from error


def read_request(message: Any) -> tuple[InferRequest, dict[str, list[Any]]]:
    """What a ``ModelInferRequest`` asks for.

    Returns:
        As :func:`tastemaker.serving.oip.parsing.parse` gives it: the request, and each input's elements, flat.

    Raises:
        ApiProblem: 400, naming the field.
    """
    raw = list(message.raw_input_contents)
    if raw and len(raw) != len(message.inputs):
        raise ApiProblem(
            400,
            "raw_input_contents",
            f"there are {len(raw)} for {len(message.inputs)} inputs",
            "send one for each input, in their order, or none",
        )
    inputs: list[InputTensor] = []
    values: dict[str, list[Any]] = {}
    for place, tensor in enumerate(message.inputs):
        field = f"inputs[{place}]"
        if tensor.name in values:
            raise ApiProblem(400, f"{field}.name", f"{tensor.name!r} is there twice", "send each input once")
        shape = list(tensor.shape)
        size = element_count(shape, field)
        if raw:
            if tensor.HasField("contents"):
                raise ApiProblem(400, f"{field}.contents", "is there beside raw_input_contents", "send one of them")
            where = f"raw_input_contents[{place}]"
            values[tensor.name] = elements_of_binary(tensor.datatype, raw[place], size, field, where)
        else:
            values[tensor.name] = _typed_elements(tensor, size, field)
        inputs.append(InputTensor(name=tensor.name, datatype=tensor.datatype, shape=shape))
    outputs = [
        RequestedOutput(name=output.name, parameters=_parameters(output.parameters)) for output in message.outputs
    ]
    asked = InferRequest(inputs=inputs, id=message.id, parameters=_parameters(message.parameters), outputs=outputs)
    if raw:
        # Who sends bytes reads bytes, unless it says otherwise.
        asked.parameters.setdefault("binary_data_output", True)
    return asked, values


def _typed_elements(tensor: Any, size: int, field: str) -> list[Any]:
    if tensor.datatype not in _READ:
        raise ApiProblem(
            400, f"{field}.datatype", f"{tensor.datatype!r} is not read here", "send BYTES, INT32 or INT64"
        )
    used = _TYPED[tensor.datatype]
    for other, content in tensor.contents.ListFields():
        if other.name != used and len(content):
            raise ApiProblem(
                400, f"{field}.contents.{other.name}", f"does not hold {tensor.datatype}", f"send them as {used}"
            )
    return elements_of_list(tensor.datatype, list(getattr(tensor.contents, used)), size, field)


def _parameters(given: Any) -> dict[str, Any]:
    """The parameters by name; one that was sent without a value is left out."""
    found = {}
    for name, parameter in given.items():
        choice = parameter.WhichOneof("parameter_choice")
        if choice is not None:
            found[name] = getattr(parameter, choice)
    return found


def write_response(head: dict[str, Any], outputs: list[Output]) -> Any:
    """A ``ModelInferResponse``.

    All tensors are raw when one of them is to be: the protocol knows no mixture.
    """
    message = messages.ModelInferResponse(
        model_name=head["model_name"], model_version=head["model_version"], id=head["id"]
    )
    for name, value in head["parameters"].items():
        message.parameters[name].string_param = value
    raw = any(binary for *_, binary in outputs)
    for name, datatype, array, _ in outputs:
        tensor = message.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if raw:
            message.raw_output_contents.append(
                write_bytes(array) if datatype == "BYTES" else np.ascontiguousarray(array).tobytes()
            )
        else:
            elements = array.ravel().tolist()
            given = [element.encode() for element in elements] if datatype == "BYTES" else elements
            getattr(tensor.contents, _TYPED[datatype]).extend(given)
    return message


def model_metadata_message(release_id: str) -> Any:
    """A ``ModelMetadataResponse``, of what REST answers."""
    told = model_metadata(release_id)
    message = messages.ModelMetadataResponse(name=told["name"], versions=told["versions"], platform=told["platform"])
    for tensors, kept in ((told["inputs"], message.inputs), (told["outputs"], message.outputs)):
        for tensor in tensors:
            kept.add(**tensor)
    return message
