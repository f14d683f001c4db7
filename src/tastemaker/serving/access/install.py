"""Puts limits and gate in front of an application."""

from collections.abc import Callable
from functools import cache

from starlette.applications import Starlette

from tastemaker.serving.access.asgi import BodyOf
from tastemaker.serving.access.gate import Gate
from tastemaker.serving.access.keys import Scope
from tastemaker.serving.access.limits import LimitsMiddleware
from tastemaker.serving.access.middleware import AccessMiddleware
from tastemaker.serving.access.redaction import keep_keys_out_of_logs
from tastemaker.settings import Settings

__all__ = ["install_access"]

_PROBES = frozenset({"/v2/health/live", "/v2/health/ready", "/livez", "/readyz", "/health/live", "/health/ready"})


def install_access(
    app: Starlette,
    settings: Callable[[], Settings],
    scope_of: Callable[[str, str], Scope | None],
    body_of: BodyOf,
    on_refused: Callable[[int], None],
) -> None:
    """Guard an application; ``app.state.gate()`` is its gate from then on.

    Args:
        app: the application.
        settings: read when the first request comes, or the gate is asked for.
        scope_of: the scope that a method and a path need.
        body_of: the body of a refusal.
        on_refused: told the status of each refusal.
    """
    settled = cache(settings)

    @cache
    def gate() -> Gate:
        keep_keys_out_of_logs()
        return Gate.of(settled())

    app.state.gate = gate
    app.add_middleware(
        AccessMiddleware,
        gate=gate,
        scope_of=scope_of,
        body_of=body_of,
        on_refused=on_refused,
        https=lambda: bool(settled().tls_certificate),
    )
    app.add_middleware(  # added later, so it comes first
        LimitsMiddleware,
        max_in_progress=lambda: settled().max_in_progress,
        body_of=body_of,
        on_refused=on_refused,
        never_shed=_PROBES,
    )
