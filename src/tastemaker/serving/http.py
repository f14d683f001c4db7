"""What every route shares: reading a body within bounds, answering JSON, and turning errors into answers."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tastemaker.errors import ContractError, ServingError
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.problems import NO_RELEASE_RETRY_S, ApiProblem

__all__ = [
    "MAX_BODY_BYTES",
    "Handler",
    "in_protocol",
    "json_response",
    "measured",
    "problem_body",
    "problem_of",
    "protocol_problem_body",
    "read_body",
    "refusal_body",
]

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1 << 20

Handler = Callable[[Request], Awaitable[Response]]
_encoder = msgspec.json.Encoder()


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer in JSON; ``value`` may hold msgspec structs."""
    return Response(_encoder.encode(value), status, headers, "application/json")


async def read_body(request: Request, media_types: tuple[str, ...] = ("application/json",)) -> bytes:
    """The body of a request.

    Raises:
        ApiProblem: 415 for another media type (none at all counts as JSON); 413 beyond ``MAX_BODY_BYTES``.
    """
    media_type = request.headers.get("content-type", "application/json").split(";", 1)[0].strip().lower()
    if media_type not in media_types:
        raise ApiProblem(
            415,
            "content-type",
            f"{media_type!r} is not understood",
            f"send the header content-type: {media_types[0]}",
        )
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise _too_large(f"{announced} bytes")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():  # a chunked body announces no length
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large(f"more than {MAX_BODY_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(size: str) -> ApiProblem:
    return ApiProblem(413, "body", f"the body has {size}", f"send at most {MAX_BODY_BYTES} bytes")


def problem_body(problem: ApiProblem) -> dict[str, Any]:
    """The error body of the JSON API."""
    return {"error": {"field": problem.field, "problem": problem.problem, "remedy": problem.remedy}}


def protocol_problem_body(problem: ApiProblem) -> dict[str, Any]:
    """The error body of the Open Inference Protocol, where ``error`` is text; the field stands beside it."""
    return {"error": f"{problem}; {problem.remedy}", "field": problem.field}


def in_protocol(path: str) -> bool:
    """Whether a path is of the Open Inference Protocol, whose errors look otherwise."""
    return path.startswith(("/v2", "/v1/models"))


def refusal_body(problem: ApiProblem, path: str) -> dict[str, Any]:
    """The error body of what is refused before its route is known."""
    return protocol_problem_body(problem) if in_protocol(path) else problem_body(problem)


def measured(
    name: str,
    handler: Handler,
    metrics: ServingMetrics,
    body_of: Callable[[ApiProblem], dict[str, Any]] = problem_body,
    contract_status: int = 422,
) -> Handler:
    """Wrap a route's handler: measure it, and answer its errors.

    Args:
        name: label of the series; never the raw path.
        handler: the route.
        metrics: where to count.
        body_of: makes an error's body.
        contract_status: the status of a broken contract; the Open Inference Protocol knows only 400.
    """

    async def endpoint(request: Request) -> Response:
        began = time.perf_counter()
        try:
            response = await handler(request)
        except Exception as error:
            problem = problem_of(error, name)
            if problem.status == 422:
                problem.status = contract_status
            response = json_response(body_of(problem), problem.status, problem.headers)
        metrics.requests.labels(name).observe(time.perf_counter() - began)
        if response.status_code >= 400:
            metrics.errors.labels(name, str(response.status_code)).inc()
        return response

    return endpoint


def problem_of(error: Exception, what: str) -> ApiProblem:
    """What a caller is told of an error, whatever it is; one that is the server's own is logged.

    Args:
        error: that ended the request.
        what: was asked for, for the log.
    """
    if isinstance(error, ApiProblem):
        return error
    if isinstance(error, ContractError):
        return ApiProblem.of_contract(error)
    if isinstance(error, ServingError):
        return ApiProblem(503, "", str(error), "try again in a moment", retry_after_s=NO_RELEASE_RETRY_S)
    if isinstance(error, ClientDisconnect):
        return ApiProblem(400, "body", "the connection was closed before the body ended", "send the whole body")
    _log.error("%s failed", what, exc_info=error)
    return ApiProblem(500, "", f"an error of the server: {type(error).__name__}", "the server's log says more")
