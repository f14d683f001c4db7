"""The gate in front of an ASGI application."""

from collections.abc import Callable

from tastemaker.serving.access.asgi import App, BodyOf, Message, Receive, Send, send_problem
from tastemaker.serving.access.binding import is_loopback
from tastemaker.serving.access.credentials import token_in
from tastemaker.serving.access.gate import Admitted, Gate
from tastemaker.serving.access.keys import Scope
from tastemaker.serving.problems import ApiProblem

__all__ = ["AccessMiddleware", "admitted_of"]

_ADMITTED = "tastemaker.admitted"
_NOBODY = Admitted("", None)


def admitted_of(scope: Message) -> Admitted:
    """Who sent a request that the middleware let through."""
    admitted: Admitted = scope.get(_ADMITTED, _NOBODY)
    return admitted


class AccessMiddleware:
    """Lets through what the gate admits and answers the rest.

    Args:
        app: the application.
        gate: makes or finds the gate.
        scope_of: the scope that a method and a path need; None is none.
        body_of: the body of a refusal, by its problem and the path.
        on_refused: told the status of each refusal.
        https: refuse what did not come over TLS, so that a server which is started without it does not go unseen.
    """

    def __init__(
        self,
        app: App,
        *,
        gate: Callable[[], Gate],
        scope_of: Callable[[str, str], Scope | None],
        body_of: BodyOf,
        on_refused: Callable[[int], None] = lambda status: None,
        https: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._gate = gate
        self._scope_of = scope_of
        self._body_of = body_of
        self._on_refused = on_refused
        self._https = https
        self._hosts: dict[str, bool] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection as ASGI says."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._app(scope, receive, send)
            return
        if kind != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            if self._https() and scope.get("scheme") != "https":
                raise ApiProblem(
                    400, "", "this server is set up for TLS, and this did not come over it", "use an https address"
                )
            wanted = self._scope_of(scope["method"], scope["path"])
            if wanted is not None:
                token = token_in(scope["headers"])
                scope[_ADMITTED] = self._gate().admit(token, wanted, local=self._local(scope.get("server")))
        except ApiProblem as problem:
            self._on_refused(problem.status)
            await send_problem(send, problem, self._body_of(problem, scope["path"]))
            return
        await self._app(scope, receive, send)

    def _local(self, server: tuple[str, int | None] | None) -> bool:
        """Whether the address that the caller connected to is loopback; remembered, there are few."""
        host, port = server or ("", None)
        known = self._hosts.get(host)
        if known is None:
            # No port is a Unix socket, and a name is what test clients give: neither is a network's address.
            known = port is None or (not host[:1].isdigit() and ":" not in host) or is_loopback(host)
            if len(self._hosts) < 64:
                self._hosts[host] = known
        return known
