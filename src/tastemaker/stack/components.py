"""The local stack's components: which processes, with which command lines, ready by which sign."""

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from tastemaker.broker import node
from tastemaker.errors import StackError
from tastemaker.serving.access.tls import bentoml_options
from tastemaker.settings import Settings
from tastemaker.stack.component import Component
from tastemaker.stack.monitoring.components import monitoring_announcement, monitoring_components
from tastemaker.stack.probes import http_answers, pid_in, port_open, prefect_worker_online
from tastemaker.stack.served_bento import ServedBento

__all__ = ["WORK_POOL", "announcements", "local_components", "prefect_env", "process_env"]

WORK_POOL = "tastemaker"
_WAITS_FOR_PLAN = "the feature declarations; apply them with: tastemaker features apply"
# The parts share one machine: a few threads each are faster than as many as there are cores, for every part.
_THREADS = {
    name: "2"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
}


def process_env(settings: Settings) -> dict[str, str]:
    """What every process of the stack gets beside the supervisor's environment."""
    own = dict.fromkeys((settings.host, settings.callable_host))
    bypass = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), *own)))
    return {
        **settings.to_env(),
        **_THREADS,
        "PYTHONUNBUFFERED": "1",
        "TF_USE_LEGACY_KERAS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "BENTOML_HOME": str(settings.bentoml_home),
        "BENTOML_DO_NOT_TRACK": "True",
        # Every Bento is a copy of the package: the next one finds the loops that the one before compiled.
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR") or str(settings.home / "compiled"),
        "NO_PROXY": bypass,  # the parts talk to each other directly
        "no_proxy": bypass,
    }


def prefect_env(settings: Settings) -> dict[str, str]:
    """Where Prefect's server is and keeps its state, and that it sends no telemetry."""
    return {
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_API_URL": f"{settings.prefect_url}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    }


def announcements(settings: Settings) -> list[str]:
    """What a person must know about this stack before relying on it."""
    return list(filter(None, [node.announcement(settings), monitoring_announcement(settings)]))


def local_components(settings: Settings, only: Iterable[str] | None = None) -> list[Component]:
    """The components of a stack on this machine, in the order of starting.

    Args:
        settings: with ports that are free (see :func:`tastemaker.stack.ports.choose_ports`). A broker that someone
            else runs replaces the component ``kafka``.
        only: names of the wanted ones; needs that are left out are taken for granted.

    Raises:
        StackError: ``only`` has a name that no component has.
    """
    for directory in (settings.reports_dir, settings.run_dir, settings.bentoml_home, settings.home / "prefect"):
        directory.mkdir(parents=True, exist_ok=True)
    known = [
        *([] if settings.kafka_bootstrap_servers else [_kafka(settings)]),
        _topics(settings),
        _collector(settings),
        *(_worker(settings, number) for number in range(settings.workers)),
        _prefect_server(settings),
        _flows(settings),
        _prefect_worker(settings),
        _reports(settings),
        _recommender(settings),
        *monitoring_components(settings),
    ]
    wanted = {component.name for component in known} if only is None else set(only)
    unknown = wanted - {component.name for component in known}
    if unknown:
        names = ", ".join(component.name for component in known)
        raise StackError(f"no component is called {', '.join(sorted(unknown))}; one of {names}")
    shared = process_env(settings)
    return [
        replace(
            component,
            env={**shared, **component.env},
            needs=tuple(need for need in component.needs if need in wanted),
        )
        for component in known
        if component.name in wanted
    ]


def _kafka(settings: Settings) -> Component:
    return Component(
        "kafka",
        lambda: [sys.executable, "-m", "tastemaker.broker.node"],
        ready=lambda _: node.answers(settings.host, settings.kafka_port),
        stop_timeout_s=20.0,
    )


def _topics(settings: Settings) -> Component:
    return Component(
        "topics",
        lambda: [sys.executable, "-m", "tastemaker.broker.topics"],
        needs=() if settings.kafka_bootstrap_servers else ("kafka",),
        once=True,
    )


def _collector(settings: Settings) -> Component:
    line = [sys.executable, "-m", "tastemaker.stream.collector"]
    return Component(
        "collector",
        # The declarations are applied after a first import, whose items the collector has to know.
        lambda: line if settings.plan_path.exists() else None,
        ready=lambda _: http_answers(
            settings.callable_host, settings.collector_port, "/health/ready", settings.tls_certificate
        ),
        needs=("topics",),
        waits_for=_WAITS_FOR_PLAN,
    )


def _worker(settings: Settings, number: int) -> Component:
    """One of the workers that share the partitions; they are alike, and each takes a free slot when it starts."""
    line = [sys.executable, "-m", "tastemaker.stream.worker"]
    return Component(
        f"worker-{number + 1}" if number else "worker",
        lambda: line if settings.plan_path.exists() else None,
        ready=lambda pid: any(pid_in(path, pid) for path in settings.run_dir.glob("worker*.ready")),
        needs=("topics",),
        waits_for=_WAITS_FOR_PLAN,
        start_timeout_s=900.0,  # it may rebuild the online store from the lake first
    )


def _prefect_server(settings: Settings) -> Component:
    where = ["--host", settings.host, "--port", str(settings.prefect_port)]
    return Component(
        "prefect-server",
        lambda: [sys.executable, "-m", "prefect", "server", "start", *where],
        ready=lambda _: http_answers(settings.host, settings.prefect_port, "/api/health"),
        env=prefect_env(settings),
    )


def _flows(settings: Settings) -> Component:
    return Component(
        "flows",
        lambda: [sys.executable, "-m", "flows.deploy"],
        env=prefect_env(settings),
        cwd=settings.repository,
        needs=("prefect-server",),
        once=True,
    )


def _prefect_worker(settings: Settings) -> Component:
    options = ["--pool", WORK_POOL, "--type", "process", "--name", "local"]
    return Component(
        "prefect-worker",
        lambda: [sys.executable, "-m", "prefect", "worker", "start", *options],
        ready=partial(prefect_worker_online, settings.host, settings.prefect_port, WORK_POOL),
        # Asked every 15 s by default, which is how long a run that a person started would wait.
        env={**prefect_env(settings), "PREFECT_WORKER_QUERY_SECONDS": "2"},
        cwd=settings.repository,
        needs=("prefect-server",),
    )


def _reports(settings: Settings) -> Component:
    where = ["--bind", settings.host, "--directory", str(settings.reports_dir), str(settings.reports_port)]
    return Component(
        "reports",
        lambda: [sys.executable, "-m", "http.server", *where],
        ready=lambda _: port_open(settings.host, settings.reports_port),
    )


def _recommender(settings: Settings) -> Component:
    """It follows the champion by itself, and is started anew only for a Bento with other code."""
    bento = ServedBento(settings)
    where = ["--host", settings.serving_host, "--port", str(settings.recommender_port), *bentoml_options(settings)]

    def command() -> list[str] | None:
        tag = bento()
        return None if tag is None else [sys.executable, "-m", "bentoml", "serve", tag, *where]

    return Component(
        "recommender",
        command,
        ready=lambda _: http_answers(
            settings.callable_host, settings.recommender_port, "/v2/health/ready", settings.tls_certificate
        ),
        env={"TASTEMAKER_FOLLOW_CHAMPION": "true"},
        waits_for="a promoted release; train one with: tastemaker train",
    )
