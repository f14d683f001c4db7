"""The OpenAPI document, written from the structs that the routes decode: it cannot say anything else than they do."""

import re
from typing import Any

import msgspec

from tastemaker import __version__
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse
from tastemaker.serving.oip.tensors import InferRequest, OutputTensor
from tastemaker.serving.oip.v1 import PredictRequest
from tastemaker.serving.openapi_paths import TAGS, paths

__all__ = ["Error", "InferResponse", "PredictResponse", "Problem", "ProtocolError", "openapi_document"]


class Problem(msgspec.Struct):
    """What stood in the way.

    Attributes:
        field: the field, parameter or header; empty for the whole request.
        problem: what is wrong.
        remedy: what to do about it.
    """

    field: str
    problem: str
    remedy: str


class Error(msgspec.Struct):
    """The body of every 4xx and 5xx answer of the JSON API.

    Attributes:
        error: what stood in the way.
    """

    error: Problem


class ProtocolError(msgspec.Struct):
    """The body of every 4xx and 5xx answer of the Open Inference Protocol.

    Attributes:
        error: problem and remedy as text.
        field: the field, such as ``inputs[0].shape``.
    """

    error: str
    field: str = ""


class PredictResponse(msgspec.Struct):
    """The answer to a prediction.

    Attributes:
        predictions: one list for each instance, in their order.
    """

    predictions: list[RecommendationResponse]


class InferResponse(msgspec.Struct):
    """The answer to an inference request.

    Attributes:
        model_name: ``recommender``.
        model_version: the release.
        id: as in the request; made up when it had none.
        parameters: ``release``.
        outputs: ``item_ids`` and ``scores`` [n, k], filled up with empty ids; ``lengths``, ``request_ids``
            and ``tiers`` [n].
    """

    model_name: str
    model_version: str
    id: str
    parameters: dict[str, str]
    outputs: list[OutputTensor]


_BODIES = (RecommendationRequest, RecommendationResponse, Error, ProtocolError, PredictRequest, PredictResponse)
_STRUCTS = (*_BODIES, InferRequest, InferResponse)


def openapi_document() -> dict[str, Any]:
    """The whole document, OpenAPI 3.1."""
    _, components = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    described = {struct.__name__: struct for struct in _structs_in(_STRUCTS)}
    for name, schema in components.items():
        if name in described:
            _describe(schema, described[name])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tastemaker recommender",
            "version": __version__,
            "description": (
                "Explained product recommendations in real time. Ask for a list with `/v1/recommend`; KServe and other "
                "inference clients speak the Open Inference Protocol with the model `recommender`."
            ),
        },
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": paths(components["RecommendationRequest"]["properties"]),
        "components": {"schemas": components},
    }


def _structs_in(roots: tuple[Any, ...]) -> list[Any]:
    """The structs reachable from these, through their fields' types."""
    found: list[Any] = []

    def visit(kind: Any) -> None:
        if isinstance(kind, msgspec.inspect.StructType) and kind.cls not in found:
            found.append(kind.cls)
            for field in kind.fields:
                visit(field.type)
        for name in ("item_type", "value_type"):
            if hasattr(kind, name):
                visit(getattr(kind, name))
        for inner in getattr(kind, "types", ()):
            visit(inner)

    for root in roots:
        visit(msgspec.inspect.type_info(root))
    return found


def _describe(schema: dict[str, Any], struct: Any) -> None:
    """Move the ``Attributes:`` section of a docstring to the properties that it describes."""
    text, _, attributes = (struct.__doc__ or "").partition("Attributes:\n")
    schema["description"] = " ".join(text.split())
    for entry in re.split(r"\n(?= {8}\w)", attributes):
        name, colon, meaning = entry.strip().partition(":")
        if colon and name in schema["properties"]:
            schema["properties"][name]["description"] = " ".join(meaning.split()).replace("``", "`")
