"""Bodies that are endless, slow or cut off."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request

from tastemaker.stream.limits import Limits, Refused, read_body

CHUNK = b" " * (1024 * 1024)


def _request(receive: Callable[[], Awaitable[dict[str, Any]]], **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/v1/events", "headers": raw}, receive)


def _refusal(request: Request, limits: Limits) -> Refused:
    with pytest.raises(Refused) as caught:
        asyncio.run(read_body(request, limits))
    return caught.value


def test_endless_body_is_refused_after_a_bounded_part_of_it():
    received = 0

    async def receive() -> dict[str, Any]:
        nonlocal received
        received += 1
        return {"type": "http.request", "body": CHUNK, "more_body": True}

    refused = _refusal(_request(receive), Limits())
    assert refused.status == 413
    assert refused.headers == {"connection": "close"}
    assert received == 65  # 64 MiB may pass by; the next MiB ends it


def test_client_that_asks_first_is_refused_before_it_sends():
    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing may be read")

    refused = _refusal(_request(receive, content_length="10000000", expect="100-continue"), Limits())
    assert refused.status == 413


def test_body_that_does_not_arrive_is_408():
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        raise AssertionError("unreachable")

    assert _refusal(_request(receive), Limits(read_timeout_s=0.01)).status == 408


def test_client_that_leaves_is_400():
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert _refusal(_request(receive), Limits()).status == 400
