"""A handler that does nothing, served as the recommender is: what HTTP itself costs."""

import bentoml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tastemaker.serving.bento_service import SERVICE_OPTIONS

__all__ = ["Noop", "app"]


async def _nothing(request: Request) -> Response:
    await request.body()
    return Response(b"{}", media_type="application/json")


app = Starlette(
    routes=[Route("/v1/recommend", _nothing, methods=["POST"]), Route("/v2/health/ready", _nothing, methods=["GET"])]
)


@bentoml.service(name="tastemaker-noop", **SERVICE_OPTIONS)
@bentoml.asgi_app(app)
class Noop:
    """Answers."""
