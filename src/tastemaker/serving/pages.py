"""The pages that people open: an index, the API documentation, and the OpenAPI document behind it.

They load nothing from elsewhere, so they work where the network ends at the cluster's edge.
"""

from functools import cache
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from tastemaker import __version__
from tastemaker.serving.access.openapi import with_access
from tastemaker.serving.data_plane import DataPlane
from tastemaker.serving.http import json_response
from tastemaker.serving.openapi import openapi_document

__all__ = ["routes"]

_PAGES = Path(__file__).parent / "html"
_LINKS = {"docs": "/docs", "openapi": "/openapi.json", "release": "/v1/release", "metrics": "/metrics"}


@cache
def _page(name: str) -> str:
    return (_PAGES / name).read_text(encoding="utf-8")


@cache
def _document() -> bytes:
    return msgspec.json.encode(with_access(openapi_document()))


def routes(plane: DataPlane) -> list[BaseRoute]:
    """``/``, ``/docs`` and ``/openapi.json``."""

    async def index(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_page("index.html"))
        # Clients of version 1 of the Open Inference Protocol ask here whether the server lives.
        answer = {"status": "alive", "name": "tastemaker", "version": __version__, "ready": plane.ready, **_LINKS}
        return json_response(answer)

    async def docs(request: Request) -> Response:
        return HTMLResponse(_page("docs.html"))

    async def openapi(request: Request) -> Response:
        return Response(_document(), media_type="application/json")

    return [
        Route("/", index, methods=["GET"]),
        Route("/docs", docs, methods=["GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
    ]
