"""What the collector takes in: sizes and times, and how a request beyond them is refused."""

import asyncio
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

__all__ = ["Limits", "Refused", "read_body"]

_DRAIN_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one collector.

    Attributes:
        body_bytes: size of a request's body.
        batch: events or items of one request.
        record_bytes: JSON of one event or item; the broker's own limit is 1 MiB.
        read_timeout_s: time for a body to arrive.
        ack_timeout_s: time for the broker to acknowledge a request's records.
        in_flight: requests that may wait for the broker at once.
    """

    body_bytes: int = 1024 * 1024
    batch: int = 1000
    record_bytes: int = 64 * 1024
    read_timeout_s: float = 10.0
    ack_timeout_s: float = 5.0
    in_flight: int = 256


class Refused(Exception):
    """A whole request is refused before any of its records was sent.

    Attributes:
        status: HTTP status.
        problem: what is wrong and what would be right.
        field: the offending part of the request: a field, ``body``, or a header.
        headers: response headers.
    """

    def __init__(self, status: int, problem: str, field: str = "body", headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.problem = problem
        self.field = field
        self.headers = headers or {}
        super().__init__(problem)


async def read_body(request: Request, limits: Limits) -> bytes:
    """The JSON body of a request.

    Raises:
        Refused: 415 for another content type or an encoded body, 413 for a body beyond the limit (never held in
            memory), 408 for one that does not arrive in time, 400 when the client goes away.
    """
    _check_content_type(request)
    too_large = Refused(
        413,
        f"the body exceeds the limit of {limits.body_bytes} bytes; send smaller batches",
        headers={"connection": "close"},
    )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.body_bytes and "expect" in request.headers:
        raise too_large  # the client waits for a go-ahead, so it need not send the body at all
    body = bytearray()
    size = 0
    try:
        async with asyncio.timeout(limits.read_timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= limits.body_bytes:
                    body += chunk
                elif size > _DRAIN_BYTES:
                    break
                else:
                    # Most clients read the answer only after they have sent everything, and a connection closed
                    # on them in the middle looks like a crash: let a moderate excess pass by, and drop it.
                    body.clear()
    except TimeoutError:
        problem = f"the body did not arrive within {limits.read_timeout_s:g} s"
        raise Refused(408, problem, headers={"connection": "close"}) from None
    except ClientDisconnect:
        raise Refused(400, "the client went away before its body was complete") from None
    if size > limits.body_bytes:
        raise too_large
    return bytes(body)


def _check_content_type(request: Request) -> None:
    given = request.headers.get("content-type", "application/json")
    media_type, _, parameters = given.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != "application/json" or charset not in {"", "utf-8", "utf8"}:
        raise Refused(415, f"{given!r} is not understood; send JSON as 'application/json' in UTF-8", "content-type")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise Refused(415, f"{encoding!r} is not understood; send the body without encoding", "content-encoding")
