"""uvicorn's HTTP protocol with a limit on a request's head: it has none, and keeps all that comes.

Measured with uvicorn 0.54 and httptools 0.9: one connection that never ends its headers made a worker 200 MB larger in
four seconds. No application is asked before the head is complete, so the limit has to be here.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tastemaker.serving.access.limits import MAX_HEADER_BYTES, MAX_HEADERS, MAX_TARGET_BYTES
from tastemaker.serving.http import problem_body
from tastemaker.serving.problems import ApiProblem

__all__ = ["BoundedHttpProtocol", "bound_request_heads"]

# What the middleware refuses by its own words fits, with the separators of each header.
_MAX_HEAD_BYTES = 2 * (MAX_HEADER_BYTES + MAX_TARGET_BYTES)
_HEAD_TIMEOUT_S = 10.0


class BoundedHttpProtocol(HttpToolsProtocol):
    """Answers 431 and hangs up when a head is too large, and hangs up when it does not come in time."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A connection begins; its first head has to come."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(_HEAD_TIMEOUT_S, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._cancel_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The parser sees a request begin."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser has the whole head."""
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Bytes have come: at most some 64 KiB at once, so that what is kept stays near the limit."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head:
            self._cancel_timer()
        elif self._head_bytes > _MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()
        elif self._head_timer is None and self._head_bytes:
            self._head_timer = self.loop.call_later(_HEAD_TIMEOUT_S, self._hang_up)

    def _cancel_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _hang_up(self) -> None:
        self._head_timer = None
        if self._in_head and not self.transport.is_closing():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, in the form of every other refusal."""
        self._answer(ApiProblem(400, "", "this is no HTTP request", "send HTTP/1.1"))

    def _refuse(self) -> None:
        self._answer(
            ApiProblem(
                431,
                "headers",
                "the head of the request does not end",
                f"send at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes together",
            )
        )

    def _answer(self, problem: ApiProblem) -> None:
        body = msgspec.json.encode(problem_body(problem))
        head = (
            f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def bound_request_heads() -> None:
    """Make every uvicorn server of this process that names no protocol use this one.

    BentoML makes its server itself, and takes no protocol.
    """
    import uvicorn.config

    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedHttpProtocol.__name__}"
