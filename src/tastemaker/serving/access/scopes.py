"""Which scope a path needs. What is not named here needs ``administer``, so a new route is closed at first."""

from tastemaker.serving.access.keys import Scope

__all__ = ["collector_scope", "recommender_scope"]

# Probes send no keys; the pages say how to get one.
_PUBLIC = frozenset(
    {"/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready", "/livez", "/readyz", "/healthz"}
)
_PUBLIC_AT_COLLECTOR = frozenset({"/", "/v1/schema", "/health/live", "/health/ready"})


def recommender_scope(method: str, path: str) -> Scope | None:
    """The scope that a request to the recommender needs; None is none.

    >>> str(recommender_scope("POST", "/v1/recommend")), str(recommender_scope("GET", "/metrics"))
    ('recommend', 'administer')
    """
    if path in _PUBLIC:
        return None
    if path.startswith(("/v1/", "/v2/")) and not path.startswith("/v1/admin/"):
        return Scope.RECOMMEND
    return Scope.RECOMMEND if path == "/v2" else Scope.ADMINISTER


def collector_scope(method: str, path: str) -> Scope | None:
    """The scope that a request to the collector needs; None is none.

    A key that a storefront sends events with must not be able to empty the catalogue, so items need ``administer``.
    """
    if path in _PUBLIC_AT_COLLECTOR:
        return None
    return Scope.WRITE_EVENTS if path == "/v1/events" else Scope.ADMINISTER
