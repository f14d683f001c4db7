"""The methods of the protocol over gRPC: who may call them, what they answer, and how they refuse."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from tastemaker.serving.access.credentials import token_in
from tastemaker.serving.access.gate import Admitted, Gate
from tastemaker.serving.access.keys import Scope
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.http import MAX_BODY_BYTES, problem_of
from tastemaker.serving.oip.columns import check_lists, requests_of
from tastemaker.serving.oip.grpc_codec import decode, model_metadata_message, read_request, write_response
from tastemaker.serving.oip.lists import head_of, outputs_of, wanted_outputs
from tastemaker.serving.oip.messages import messages
from tastemaker.serving.oip.metadata import check_model, server_metadata
from tastemaker.serving.problems import ApiProblem

__all__ = ["SERVICE", "handlers"]

SERVICE = "inference.GRPCInferenceService"
_Handle = Callable[[Any, Admitted], Awaitable[Any]]
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
# REST has the same limit, by BentoML's traffic timeout.
_TIMEOUT_S = 5.0


def handlers(plane: DataPlane, gate: Gate, *, local: bool) -> Any:
    """What a ``grpc.aio`` server is given.

    Args:
        plane: makes the lists.
        gate: admits the callers.
        local: whether the server listens on loopback alone.
    """
    recording: set[asyncio.Task[None]] = set()

    async def live(_: Any, __: Admitted) -> Any:
        return messages.ServerLiveResponse(live=True)

    async def ready(_: Any, __: Admitted) -> Any:
        return messages.ServerReadyResponse(ready=plane.ready)

    async def model_ready(asked: Any, _: Admitted) -> Any:
        check_model(asked.name, *_version_and_release(asked.version))
        return messages.ModelReadyResponse(ready=plane.ready)

    async def server(_: Any, __: Admitted) -> Any:
        return messages.ServerMetadataResponse(**server_metadata())

    async def model(asked: Any, _: Admitted) -> Any:
        check_model(asked.name, *_version_and_release(asked.version))
        return model_metadata_message(plane.recommender.release_id)

    async def infer(asked: Any, admitted: Admitted) -> Any:
        check_model(asked.model_name, *_version_and_release(asked.model_version))
        request, values = read_request(asked)
        wanted = wanted_outputs(request)
        lists = requests_of(request, values)
        check_lists(plane, lists, request)
        admitted.charge(len(lists) - 1)
        async with asyncio.timeout(_TIMEOUT_S):
            answers = await plane.recommend(lists)
        task = asyncio.create_task(plane.record(answers))  # after the answer, as over REST
        recording.add(task)
        task.add_done_callback(recording.discard)
        return write_response(head_of(request, answers), outputs_of(wanted, answers))

    def _version_and_release(version: str) -> tuple[str | None, str | None]:
        return (version, plane.recommender.release_id) if version else (None, None)

    def method(name: str, kind: Any, handle: _Handle, scope: Scope | None = Scope.RECOMMEND) -> tuple[str, Any]:
        async def call(raw: bytes, context: Any) -> bytes:
            began = time.perf_counter()
            code = "OK"
            try:
                admitted = _admitted(gate, context, scope, local=local)
                answer: bytes = (await handle(decode(_bounded(raw), kind), admitted)).SerializeToString()
                return answer
            except Exception as error:
                problem = _problem_of(error, name)
                status = _CODES.get(problem.status, grpc.StatusCode.INTERNAL)
                code = status.name
                trailing = [(header, value) for header, value in problem.headers.items()]
                await context.abort(status, f"{problem}; {problem.remedy}", tuple(trailing))
                raise  # abort has raised already
            finally:
                plane.metrics.requests.labels(f"grpc_{name}").observe(time.perf_counter() - began)
                if code != "OK":
                    plane.metrics.errors.labels(f"grpc_{name}", code).inc()

        # No deserializer: what grpc cannot decode it answers with INTERNAL, and it is the caller's mistake.
        return name, grpc.unary_unary_rpc_method_handler(call)

    return grpc.method_handlers_generic_handler(
        SERVICE,
        dict(
            [
                method("ServerLive", messages.ServerLiveRequest, live, None),
                method("ServerReady", messages.ServerReadyRequest, ready, None),
                method("ModelReady", messages.ModelReadyRequest, model_ready),
                method("ServerMetadata", messages.ServerMetadataRequest, server),
                method("ModelMetadata", messages.ModelMetadataRequest, model),
                method("ModelInfer", messages.ModelInferRequest, infer),
            ]
        ),
    )


def _admitted(gate: Gate, context: Any, scope: Scope | None, *, local: bool) -> Admitted:
    if scope is None:
        return Admitted("", None)
    given = [
        (key.encode(), value.encode() if isinstance(value, str) else value)
        for key, value in context.invocation_metadata() or ()
    ]
    return gate.admit(token_in(given), scope, local=local)


def _bounded(raw: bytes) -> bytes:
    if len(raw) > MAX_BODY_BYTES:
        raise ApiProblem(413, "", f"the message has {len(raw)} bytes", f"send at most {MAX_BODY_BYTES} bytes")
    return raw


def _problem_of(error: Exception, name: str) -> ApiProblem:
    if isinstance(error, TimeoutError):
        return ApiProblem(503, "", f"no list within {_TIMEOUT_S:g} s", "try again in a moment", retry_after_s=1)
    return problem_of(error, f"grpc {name}")
