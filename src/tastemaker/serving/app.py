"""The recommender as an ASGI application: the JSON API, the Open Inference Protocol, the pages, and one data plane."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from tastemaker.serving import json_api, pages
from tastemaker.serving.access.install import install_access
from tastemaker.serving.access.scopes import recommender_scope
from tastemaker.serving.data_plane import AnyRecommender, DataPlane
from tastemaker.serving.http import Handler, measured, refusal_body
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.oip import v1, v2
from tastemaker.serving.problems import ApiProblem
from tastemaker.serving.served_log import ServedListLog
from tastemaker.serving.telemetry.telemetry import Telemetry
from tastemaker.serving.trial import WantedTrial
from tastemaker.serving.trials import Trials
from tastemaker.settings import Settings

__all__ = ["create_app", "open_recommender", "open_served_log"]


def create_app(
    open_recommender: Callable[[Settings], AnyRecommender],
    settings: Callable[[], Settings] = Settings.from_env,
    open_log: Callable[[Settings, ServingMetrics], ServedListLog] | None = None,
    wanted: Callable[[Settings], str] = lambda settings: "",
    *,
    wanted_trial: Callable[[Settings], WantedTrial | None] | None = None,
    open_release: Callable[[Settings, str], AnyRecommender] | None = None,
) -> Starlette:
    """Build the application. Nothing is read or loaded before :meth:`DataPlane.start`.

    The application's lifespan starts and stops ``app.state.plane``; a host that does not run lifespans calls
    ``plane.start()`` and ``plane.stop()`` itself, and calling them twice does no harm.

    Args:
        open_recommender: loads the release; runs in the background thread.
        settings: the platform's settings, read when the release is loaded.
        open_log: makes the served-list log; by default it writes to the settings' broker.
        wanted: names the release that ``open_recommender`` would load now; asked twice a second. When it names another
            one, that is loaded beside the one that answers, and takes over when it is warm.
        wanted_trial: names the release that is to be tried beside it, and with whom; asked as often.
        open_release: loads a release by its name, to be tried; without both of them none is.
    """
    metrics, settled = ServingMetrics(), cache(settings)
    plane = DataPlane(
        open_recommender=lambda: open_recommender(settings()),
        open_log=lambda: (open_log or open_served_log)(settings(), metrics),
        metrics=metrics,
        wanted=lambda: wanted(settled()),
        open_telemetry=lambda: Telemetry.of(settled(), metrics.traces_dropped.inc),
        open_trials=None
        if wanted_trial is None or open_release is None
        else lambda keep, maker: Trials(
            lambda: wanted_trial(settled()),
            lambda name: open_release(settings(), name),
            metrics,
            settled().clock.now,
            keep=keep,
            maker=maker,
        ),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        plane.start()
        yield
        await asyncio.to_thread(plane.stop)

    routes = [*json_api.routes(plane), *v1.routes(plane), *v2.routes(plane), *pages.routes(plane)]
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    fallback = Route("/{path:path}", measured("unknown", _unknown(routes), metrics), methods=methods)
    # What even the fallback does not match: a path with a line break.
    nowhere = measured("unknown", _unknown([]), metrics)

    async def refused(request: Request, _: Exception) -> Response:
        return await nowhere(request)

    app = Starlette(
        routes=[*routes, fallback],
        lifespan=lifespan,
        exception_handlers={HTTPException: refused},
    )
    app.state.plane = plane
    install_access(
        app,
        settings,
        recommender_scope,
        refusal_body,
        lambda status: metrics.errors.labels("access", str(status)).inc(),
    )
    return app


def open_recommender(settings: Settings, release_dir: Path) -> AnyRecommender:
    """Load a release and connect it to the online store.

    Args:
        settings: where the online store and the feature plan are.
        release_dir: the release's files.

    Raises:
        DataError: there is no plan or no online store yet, or they do not fit together.
        ServingError: the release or a recipe does not load.
    """
    from tastemaker.features.plan import FeaturePlan
    from tastemaker.features.reading.reader import FeatureReader
    from tastemaker.features.stores.opening import open_online_reader
    from tastemaker.release.files import PLAN
    from tastemaker.serving.following import FittingPlan, FollowingRecommender
    from tastemaker.serving.recipes import load_recipes
    from tastemaker.serving.recommender import Recommender
    from tastemaker.serving.rerank.rule_log import rules_path
    from tastemaker.serving.rerank.rule_watch import RuleWatch

    rules = RuleWatch(rules_path(settings.home))
    recipes = load_recipes(Path(settings.surfaces_dir) if settings.surfaces_dir else None)
    trained = FeaturePlan.load(release_dir / PLAN)
    store = open_online_reader(settings.online_location)
    return FollowingRecommender(
        FittingPlan(trained, settings.plan_path, store),
        lambda plan: Recommender(
            release_dir,
            FeatureReader(settings.online_location, plan),
            settings.clock,
            recipes=recipes,
            timed=True,
            rules=rules,
            repeat_s=settings.repeat_seconds,
        ),
    )


def open_served_log(settings: Settings, metrics: ServingMetrics) -> ServedListLog:
    """The served-list log of a process that can reach a broker, now or later."""
    from tastemaker.broker.kafka import KafkaProducer

    return ServedListLog(
        lambda: KafkaProducer(settings), rate=settings.serve_log_rate, on_dropped=metrics.log_dropped.inc
    )


def _unknown(routes: list[BaseRoute]) -> Handler:
    """Answer what no route takes: 405 where only the method is wrong, else 404."""

    async def unknown(request: Request) -> Response:
        allowed: set[str] = set()
        for route in routes:
            match, _ = route.matches(request.scope)
            if match is Match.PARTIAL and isinstance(route, Route):
                allowed |= route.methods or set()
        if allowed:
            names = ", ".join(sorted(allowed))
            raise ApiProblem(405, "method", f"{request.method} is not answered at {request.url.path}", f"use {names}")
        raise ApiProblem(404, "path", f"nothing answers at {request.url.path}", "see GET /docs for what does")

    return unknown
