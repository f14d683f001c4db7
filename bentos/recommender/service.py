"""The whole recommender in one process, as a BentoML service."""

import asyncio
import logging
import os
from pathlib import Path

import bentoml

from tastemaker.clock import wall_us
from tastemaker.release.champion import read_champion
from tastemaker.release.split import split_in_force
from tastemaker.serving.access.binding import check_binding, listening_hosts
from tastemaker.serving.access.bounded_http import bound_request_heads
from tastemaker.serving.access.starting import ending_the_server
from tastemaker.serving.app import create_app, open_recommender
from tastemaker.serving.bento_service import RELEASE_DIR, SERVICE_OPTIONS, release_of
from tastemaker.serving.data_plane import AnyRecommender
from tastemaker.serving.trial import WantedTrial
from tastemaker.settings import Settings

__all__ = ["Recommender", "app"]


def _wanted(settings: Settings) -> str:
    """The champion's id, where it is to be followed; empty for the one release that this process is for."""
    if not settings.follow_champion or os.environ.get(RELEASE_DIR):
        return ""
    champion = read_champion(settings.releases_dir)
    return "" if champion is None else champion.release


def _wanted_trial(settings: Settings) -> WantedTrial | None:
    """The release that a rollout wants to be tried beside the champion."""
    if not settings.follow_champion or os.environ.get(RELEASE_DIR):
        return None
    split = split_in_force(settings.releases_dir, wall_us())
    return None if split is None else WantedTrial(split.candidate, split.share, split.shadow)


def _release_dir(champion: str = "") -> Path:
    return release_of(Recommender, champion)


def _open(settings: Settings) -> AnyRecommender:
    return open_recommender(settings, _release_dir(_wanted(settings)))


bound_request_heads()  # here, because the worker's server is made right after this module was imported
app = create_app(
    _open,
    wanted=_wanted,
    wanted_trial=_wanted_trial,
    open_release=lambda settings, name: open_recommender(settings, _release_dir(name)),
)


@bentoml.service(name="tastemaker-recommender", **SERVICE_OPTIONS)
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
