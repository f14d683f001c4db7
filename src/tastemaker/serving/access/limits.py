"""How much one request may be before any of it is looked at: target, headers, and how many at once."""

from collections.abc import Callable
from typing import Any

from tastemaker.serving.access.asgi import App, BodyOf, Message, Receive, Send, send_problem
from tastemaker.serving.problems import ApiProblem

__all__ = ["MAX_HEADERS", "MAX_HEADER_BYTES", "MAX_TARGET_BYTES", "LimitsMiddleware"]

MAX_HEADER_BYTES = 16 * 1024
MAX_HEADERS = 100
# 1000 excluded ids of a dozen letters fit.
MAX_TARGET_BYTES = 16 * 1024


class LimitsMiddleware:
    """Refuses what is beyond the limits with 414, 431 or 503.

    Args:
        app: the application.
        max_in_progress: requests that may be in progress at once; those beyond it are told to come back.
        body_of: the body of a refusal, by its problem and the path.
        on_refused: told the status of each refusal.
        never_shed: paths that are answered however busy it is: probes that went unanswered would make the busy
            process be taken out and the load go to the others.
    """

    def __init__(
        self,
        app: App,
        *,
        max_in_progress: Callable[[], int],
        body_of: BodyOf,
        on_refused: Callable[[int], None] = lambda status: None,
        never_shed: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._max_in_progress = max_in_progress
        self._body_of = body_of
        self._on_refused = on_refused
        self._never_shed = never_shed
        self._in_progress = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection as ASGI says."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope)
        if problem is not None:
            self._on_refused(problem.status)
            await send_problem(send, problem, self._body_of(problem, scope["path"]))
            return
        self._in_progress += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_progress -= 1

    def _problem(self, scope: Message) -> ApiProblem | None:
        headers: list[Any] = scope["headers"]
        target = len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
        if target > MAX_TARGET_BYTES:
            return ApiProblem(
                414,
                "path",
                f"path and query have {target} bytes, more than {MAX_TARGET_BYTES}",
                "send long lists in the body of a POST",
            )
        size = 0
        for name, value in headers:
            size += len(name) + len(value)
        if size > MAX_HEADER_BYTES or len(headers) > MAX_HEADERS:
            return ApiProblem(
                431,
                "headers",
                f"{len(headers)} headers of {size} bytes are too many",
                f"send at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes together",
            )
        if self._in_progress >= self._max_in_progress() and scope["path"] not in self._never_shed:
            return ApiProblem(
                503,
                "",
                f"overloaded: {self._in_progress} requests are in progress",
                "try again, or serve with more replicas",
                retry_after_s=1,
            )
        return None
