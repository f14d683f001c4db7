"""Candidates for a shopper, by the sources of a release alone, as a BentoML service."""

import asyncio

import bentoml

from tastemaker.serving.access.bounded_http import bound_request_heads
from tastemaker.serving.bento_service import SERVICE_OPTIONS, begin, release_of
from tastemaker.serving.model_services.app import RETRIEVAL, create_model_app
from tastemaker.serving.model_services.opening import open_retrieval

__all__ = ["Retrieval", "app"]

bound_request_heads()  # here, because the worker's server is made right after this module was imported
app = create_model_app(RETRIEVAL, lambda settings: open_retrieval(settings, release_of(Retrieval)))


@bentoml.service(name="tastemaker-retrieval", **SERVICE_OPTIONS)
@bentoml.asgi_app(app)
class Retrieval:
    """Loads in the background: the port answers at once, and ``/v2/health/ready`` once the model is warm."""

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Begin to load the release."""
        begin(app, "the retrieval model")

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Finish the requests that are under way."""
        await asyncio.to_thread(app.state.plane.stop)

    def __is_ready__(self) -> bool:
        """For BentoML's own ``/readyz``."""
        return bool(app.state.plane.ready)
