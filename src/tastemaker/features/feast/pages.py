"""Feast's pages, on 127.0.0.1 and for looking only.

Feast listens on all addresses and lets everyone who reaches it delete objects; this serves the same application on
this machine alone, and refuses what would change something.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from tastemaker.features.repository import open_store
from tastemaker.settings import Settings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["pages", "serve_pages"]

_HOST: Final = "127.0.0.1"
# What the pages send to read: they ask for values with POST.
_READING_POSTS: Final = ("/get-online-labels", "/list-labels", "/label-quality", "/active-learning/candidates")


def pages(settings: Settings, *, writable: bool = False) -> Any:
    """The ASGI application.

    Args:
        settings: of the platform; something is registered.
        writable: let it change the registry.
    """
    from feast.ui_server import get_app
    from starlette.responses import JSONResponse

    store = open_store(settings)
    app = get_app(store, store.project)
    if not writable:

        async def only_look(request: "Request", answer: Callable[["Request"], Awaitable["Response"]]) -> "Response":
            if request.method in {"GET", "HEAD", "OPTIONS"} or request.url.path.endswith(_READING_POSTS):
                return await answer(request)
            said = "these pages only show; change feature_repo/ and run `tastemaker features apply`"
            return JSONResponse({"detail": said}, status_code=405)

        app.middleware("http")(only_look)
    return app


def serve_pages(settings: Settings, port: int, ready: Callable[[], None], *, writable: bool = False) -> None:
    """Serve them until Ctrl-C.

    Args:
        settings: as of :func:`pages`.
        port: on 127.0.0.1.
        ready: called when they can be looked at.
        writable: as of :func:`pages`.
    """
    import uvicorn

    logging.getLogger("feast").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # each look at a view says that Feast's stream views are experimental
    with contextlib.redirect_stdout(io.StringIO()):
        app = pages(settings, writable=writable)

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

    server = Server(uvicorn.Config(app, host=_HOST, port=port, log_level="error"))
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again once it has stopped
        server.run()
