"""What the OpenAPI document says of keys and limits: they stand in front of every route, so they are added to each."""

from typing import Any

from tastemaker.serving.access.scopes import recommender_scope
from tastemaker.serving.http import in_protocol

__all__ = ["with_access"]

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`tastemaker keys create` makes a key."},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_OF_ALL = {
    "414": "Path and query are too long.",
    "431": "The headers are too many or too long.",
    "503": "Too many requests are in progress, or wait. `Retry-After` says when to come back.",
}
_OF_KEYS = {
    "401": "The server has keys, and the request has no valid one.",
    "403": "The key lacks the scope.",
    "429": "The key is beyond its rate. `Retry-After` says when to come back.",
}


def with_access(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the security schemes, each route's scope, and what is answered to those who are not let in."""
    paths = {
        path: {method: _guarded(method.upper(), path, operation) for method, operation in operations.items()}
        for path, operations in document["paths"].items()
    }
    components = document["components"] | {"securitySchemes": _SCHEMES}
    return document | {"paths": paths, "components": components}


def _guarded(method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    scope = recommender_scope(method, path)
    statuses = _OF_ALL if scope is None else _OF_ALL | _OF_KEYS
    error = "ProtocolError" if in_protocol(path) else "Error"
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}}
    added = {status: {"description": text, "content": content} for status, text in statuses.items()}
    guarded = operation | {"responses": added | operation["responses"]}
    if scope is None:
        return guarded | {"security": []}
    description = f"{operation.get('description', '')} Needs the scope `{scope.value}` where the server has keys."
    # The empty one: a server that nobody made keys for answers its own machine.
    return guarded | {"security": [{"bearer": []}, {"header": []}, {}], "description": description.strip()}
