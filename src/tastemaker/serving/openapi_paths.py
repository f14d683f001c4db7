"""The paths of the OpenAPI document: what each route is for, its bodies, and its errors."""

from typing import Any, Final

from tastemaker.serving import openapi_examples as examples
from tastemaker.serving.json_api import QUERY_PARAMETERS
from tastemaker.serving.oip.metadata import MODEL, model_metadata, server_metadata

__all__ = ["TAGS", "paths"]

_LISTS = "Recommendations"
_V2 = "Open Inference Protocol v2"
_V1 = "Open Inference Protocol v1"
_OPERATIONS = "Operations"
_STATUSES = {
    "400": "The body is not valid JSON.",
    "404": "No such route, model or release.",
    "413": "The body is larger than 1 MiB.",
    "415": "The body is not JSON.",
    "422": "A field breaks the contract: an unknown surface, item or field, a number out of range, or what the surface "
    "needs is missing. It is named.",
    "503": "No release is loaded yet. `Retry-After` says when to come back.",
}

_PROTOCOL_STATUSES = _STATUSES | {
    "400": "The body is not valid JSON, or a tensor or instance breaks the contract; the field is named.",
    "404": "Another model than `recommender`, or another version than the release that serves.",
    "415": "Neither JSON nor binary tensors.",
}
_LOADING = ("503",)

TAGS: Final = {
    _LISTS: "Typed JSON: a list for a shopper, with titles, scores and reasons.",
    _V2: "Tensors in, tensors out, in JSON or with the binary tensor extension.",
    _V1: "JSON instances in, JSON predictions out.",
    _OPERATIONS: "Health, metadata and metrics.",
}


def _json(schema: str | None, example: Any) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{schema}"} if schema else {"type": "object"}}
    media["example"] = example
    return {"application/json": media}


def _request_body() -> dict[str, Any]:
    media: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/RecommendationRequest"}}
    media["examples"] = {
        "home": {"summary": "The home page of a known shopper", "value": examples.REQUEST},
        "product page": {"summary": "What is like the item of a product page", "value": examples.PAGE},
    }
    return {"application/json": media}


def _operation(
    tag: str,
    summary: str,
    description: str,
    answer: dict[str, Any],
    *,
    errors: tuple[str, ...] = (),
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    error, statuses = ("Error", _STATUSES) if tag == _LISTS else ("ProtocolError", _PROTOCOL_STATUSES)
    operation: dict[str, Any] = {"tags": [tag], "summary": summary, "description": description}
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": body}
    operation["responses"] = {"200": {"description": "Done.", "content": answer}} | {
        status: {"description": statuses[status], "content": _json(error, examples.ERRORS[error])} for status in errors
    }
    return operation


def _query_parameters(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """The query parameters: the fields of the request that a terminal can spell."""
    parameters = []
    for name in QUERY_PARAMETERS:
        property_ = dict(properties[name])
        parameters.append(
            {"name": name, "in": "query", "description": property_.pop("description"), "schema": property_}
        )
    parameters[0]["example"] = examples.REQUEST["user"]
    return parameters


def paths(properties: dict[str, Any]) -> dict[str, Any]:
    """Every route with its bodies.

    Args:
        properties: the described fields of a recommendation request, for the query parameters.
    """
    text = {"text/plain": {"schema": {"type": "string"}}}
    list_errors = ("400", "413", "415", "422", "503")
    protocol_errors = ("400", "404", "413", "415", "503")
    return {
        "/v1/recommend": {
            "post": _operation(
                _LISTS,
                "Recommend items",
                "A ranked list with a reason for each item. `surface` says what for: `GET /v1/release` lists them "
                "and what each needs, such as the `items` of a product page. An unknown user is served too: `tier` is "
                "then `cold_start`. Where something fails or is slow, a lower tier answers and `tier_reason` says why: "
                "`fewer` candidates, `unranked`, the `cached` list made last, `popular` items, a `static` list. Quote "
                "`request_id` and `position` in the events that answer the list.",
                _json("RecommendationResponse", examples.RESPONSE),
                errors=list_errors,
                body=_request_body(),
            ),
            "get": _operation(
                _LISTS,
                "Recommend items, from a terminal",
                "The same as the POST, spelled as query parameters; `items` and `exclude` may be repeated.",
                _json("RecommendationResponse", examples.RESPONSE),
                errors=("422", "503"),
                parameters=_query_parameters(properties),
            ),
        },
        "/v1/release": {
            "get": _operation(
                _LISTS,
                "The release that serves",
                "Its id, and the surfaces that it serves: what each is for, and which fields it requires.",
                _json(None, examples.RELEASE),
                errors=_LOADING,
            )
        },
        "/v2/models/recommender/infer": {
            "post": _operation(
                _V2,
                "Infer",
                "One list for each element of `user` (an empty text is an unknown shopper). `session`, `surface` and "
                "`k` are optional, each of shape [n], or [1] for all lists alike. Binary tensors follow the JSON when "
                "the header `Inference-Header-Content-Length` gives its length.",
                _json("InferResponse", examples.INFER_RESPONSE),
                errors=protocol_errors,
                body=_json("InferRequest", examples.INFER),
            )
        },
        "/v2/models/recommender": {
            "get": _operation(
                _V2,
                "Model metadata",
                "Inputs, outputs, and the release as version.",
                _json(None, model_metadata(examples.RELEASE["release"])),
                errors=_LOADING,
            )
        },
        "/v2/models/recommender/ready": {
            "get": _operation(
                _V2,
                "Model readiness",
                "200 once the release is loaded and warm.",
                _json(None, {"name": MODEL, "ready": True}),
                errors=_LOADING,
            )
        },
        "/v1/models/recommender:predict": {
            "post": _operation(
                _V1,
                "Predict",
                "One list for each instance; an instance is the body of `/v1/recommend`.",
                _json("PredictResponse", {"predictions": [examples.RESPONSE]}),
                errors=protocol_errors,
                body=_json("PredictRequest", examples.PREDICT),
            )
        },
        "/v1/models": {"get": _operation(_V1, "Models", "The names of the models.", _json(None, {"models": [MODEL]}))},
        "/v1/models/recommender": {
            "get": _operation(
                _V1,
                "Model readiness",
                "200 once the release is loaded and warm.",
                _json(None, {"name": MODEL, "ready": True}),
                errors=_LOADING,
            )
        },
        "/v2": {
            "get": _operation(
                _OPERATIONS, "Server metadata", "Name, version, protocol extensions.", _json(None, server_metadata())
            )
        },
        "/v2/health/live": {
            "get": _operation(_OPERATIONS, "Liveness", "The process answers.", _json(None, {"live": True}))
        },
        "/v2/health/ready": {
            "get": _operation(
                _OPERATIONS,
                "Readiness",
                "200 once the release is loaded and warm; else the reason.",
                _json(None, {"ready": True}),
                errors=_LOADING,
            )
        },
        "/metrics": {"get": _operation(_OPERATIONS, "Metrics", "In Prometheus's text format.", text)},
    }
