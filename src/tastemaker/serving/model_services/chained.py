"""The answer of one model as the request of the next: what a KServe InferenceGraph passes on by ``data: $response``.

Its router (``cmd/router`` of KServe 0.20) posts the bytes of the one answer to the next step and puts nothing beside
them: no requested outputs, and of the headers only those that it is told to propagate. So an answer's ``outputs`` are
read as ``inputs``, and its ``predictions`` as ``instances``; binary tensors do not come through.
"""

from typing import Any

import msgspec

from tastemaker.serving.problems import ApiProblem, decode_json

__all__ = ["as_request"]

_NAMES = {"outputs": "inputs", "predictions": "instances"}


def as_request(body: bytes, header_length: str | None) -> tuple[bytes, str | None]:
    """A body that is an answer, as a request; any other body as it is.

    Args:
        body: JSON, and after it binary tensors.
        header_length: bytes of JSON, from the header ``Inference-Header-Content-Length``; None: all.

    Raises:
        ApiProblem: 400, the body is what a step before answered in error.
    """
    length = int(header_length) if header_length and header_length.isdigit() else len(body)
    head = body[:length]
    if b'"inputs"' in head or b'"instances"' in head:
        return body, header_length
    found: Any = decode_json(head, dict, invalid_status=400)
    if "error" in found and not found.keys() & _NAMES.keys():
        raise ApiProblem(
            400,
            "error",
            f"this is the error of a step before: {found['error']}",
            "set dependency: Hard on that step of the graph, so that its error is answered",
        )
    if not found.keys() & _NAMES.keys():
        return body, header_length
    encoded = msgspec.json.encode({_NAMES.get(name, name): value for name, value in found.items()})
    return encoded + body[length:], None if header_length is None else str(len(encoded))
