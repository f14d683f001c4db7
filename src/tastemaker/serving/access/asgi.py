"""What the middlewares share: the types of ASGI, and an answer from outside of the application."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from tastemaker.serving.problems import ApiProblem

__all__ = ["App", "BodyOf", "Message", "Receive", "Send", "send_problem"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
# The body of a refusal, by its problem and the path that was asked for.
BodyOf = Callable[[ApiProblem, str], dict[str, Any]]


async def send_problem(send: Send, problem: ApiProblem, body: dict[str, Any]) -> None:
    """Answer with a problem."""
    encoded = msgspec.json.encode(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(encoded)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in problem.headers.items()]
    if problem.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="tastemaker"'))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": encoded})
