"""The whole recommender in one process, as a BentoML service.

BentoML's defaults cost five times the CPU per request that these settings do; what each one is worth was measured
with a model that does nothing (1.4.39, one worker): 522 µs with the defaults, 96 µs with these.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

import bentoml

from tastemaker.errors import ServingError
from tastemaker.names import RELEASE_MODEL
from tastemaker.release.champion import read_champion
from tastemaker.serving.access.binding import check_binding, listening_hosts
from tastemaker.serving.access.bounded_http import bound_request_heads
from tastemaker.serving.access.starting import ending_the_server
from tastemaker.serving.app import create_app, open_recommender
from tastemaker.serving.data_plane import AnyRecommender
from tastemaker.settings import Settings

__all__ = ["LEAN", "Recommender", "app"]

LEAN: Final = {
    "workers": 1,  # one warm model and one set of metrics per process; scale by replicas
    "traffic": {"timeout": 5},  # each request leaves a timer for this long, so a minute's default makes memory grow
    "tracing": {"excluded_urls": [".*"]},  # its middleware builds a span for every request even at sample rate 0
    "logging": {"access": {"enabled": False}},
    "metrics": {"enabled": False},  # BentoML's have a series for every path that anyone asks for; ours are at /metrics
}
# A release outside any Bento and model store, such as one that a storage initializer has mounted.
_RELEASE_DIR = "TASTEMAKER_RELEASE_DIR"


def _wanted(settings: Settings) -> str:
    """The champion's id, where it is to be followed; empty for the one release that this process is for."""
    if not settings.follow_champion or os.environ.get(_RELEASE_DIR):
        return ""
    champion = read_champion(settings.releases_dir)
    return "" if champion is None else champion.release


def _release_dir(champion: str = "") -> Path:
    """The release to serve.

    The directory of the environment, else the champion that is followed, else the Bento's, else the newest in the
    model store.

    Raises:
        ServingError: there is none.
    """
    given = os.environ.get(_RELEASE_DIR)
    if given:
        return Path(given)
    tag = f"{RELEASE_MODEL}:{champion or 'latest'}"
    bento = Recommender.bento  # type: ignore[attr-defined]  # the decorator has made a Service of it
    if bento is not None and not champion:  # what the Bento was built with, even when the store has newer ones
        tag = next((str(model.tag) for model in bento.info.all_models if model.tag.name == RELEASE_MODEL), tag)
    try:
        return Path(bentoml.models.get(tag).path)
    except bentoml.exceptions.NotFound as error:
        raise ServingError(f"no release {tag} in the model store; train one, or set {_RELEASE_DIR}") from error


def _open(settings: Settings) -> AnyRecommender:
    return open_recommender(settings, _release_dir(_wanted(settings)))


bound_request_heads()  # here, because the worker's server is made right after this module was imported
app = create_app(_open, wanted=_wanted)


@bentoml.service(name="tastemaker-recommender", **LEAN)
@bentoml.asgi_app(app)
class Recommender:
    """Loads in the background: the port answers at once, and ``/v2/health/ready`` once lists are served."""

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Begin to load the release."""
        # While a broker is away, its client writes ten lines a second; the served-list log says it once.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        logging.getLogger("tastemaker").setLevel(logging.INFO)  # BentoML's root tells warnings alone
        # Before anything is loaded: whether it may listen where it does.
        with ending_the_server():
            settings = Settings.from_env()
            hosts = listening_hosts()
            check_binding(hosts, app.state.gate(), allow_open=settings.allow_open, what="the recommender")
            if settings.recommender_grpc_port:
                from tastemaker.serving.oip.grpc_server import start_grpc

                app.state.grpc = await start_grpc(app.state.plane, app.state.gate(), settings, hosts=hosts)
        app.state.plane.start()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Finish the requests that are under way and flush the served-list log."""
        if hasattr(app.state, "grpc"):
            await app.state.grpc.stop()
        await asyncio.to_thread(app.state.plane.stop)

    def __is_ready__(self) -> bool:
        """For BentoML's own ``/readyz``."""
        return bool(app.state.plane.ready)
