"""Lists over HTTP from a shop of a million items: latency at 1,000 requests a second, and throughput beside a no-op."""

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import msgspec
from rich.console import Console

from benchmarks.goal import Goal
from benchmarks.http_load import Load, closed, open_loop, post_request
from benchmarks.serving_shop import make_shop
from tastemaker.settings import Settings

__all__ = ["run", "served"]

_ITEMS = int(os.environ.get("SERVING_ITEMS", "1000000"))
_SECONDS = float(os.environ.get("SERVING_SECONDS", "30"))
_PER_SECOND = float(os.environ.get("SERVING_RATE", "1000"))
_RANKED = 100
_START_S = 600.0
_RECIPE = f"""surface: home
about: As the built-in one, with a hundred ranked candidates.
sources: as_trained
limit: {_RANKED}
order: {{ranker: 1}}
"""


@contextmanager
def served(service: str, settings: Settings, environ: dict[str, str], port: int) -> Iterator[int]:
    """A BentoML service in a process of its own, once it is ready.

    Yields:
        The id of its process.

    Raises:
        SystemExit: it ended, or was not ready in time.
    """
    command = [sys.executable, "-m", "bentoml", "serve", service, "--host", "127.0.0.1", "--port", str(port)]
    log = settings.home / f"{service.rpartition(':')[2]}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **settings.to_env(), **environ}, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + _START_S
        while not _ready(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{service} did not become ready: {log.read_text()[-2_000:]}")
            time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def run() -> list[Goal]:
    """1,000 lists a second of 100 ranked candidates from 1M items over HTTP: p90 7 ms, p99 15 ms, 1/4 of a no-op."""
    console = Console()
    home = Path(os.environ["SERVING_HOME"]) if "SERVING_HOME" in os.environ else None
    with tempfile.TemporaryDirectory() as scratch:
        settings, release, users = make_shop(home or Path(scratch) / "home", _ITEMS, console.print)
        (settings.home / "surfaces").mkdir(exist_ok=True)
        (settings.home / "surfaces" / "home.yaml").write_text(_RECIPE)
        # Every list is made, none given again; one of a hundred is logged, as a shop of that size would.
        settings = settings.model_copy(
            update={
                "recommender_grpc_port": 0,
                "surfaces_dir": str(settings.home / "surfaces"),
                "repeat_seconds": 0.0,
                "serve_log_rate": 0.01,
            }
        )
        random.Random(1).shuffle(users)
        bodies = [msgspec.json.encode({"surface": "home", "user": user, "k": 10}) for user in users]
        requests = [post_request("/v1/recommend", body) for body in bodies]
        port = _free_port()
        with served("benchmarks.serving_noop:Noop", settings, {}, port):
            closed(port, requests, 3.0, 16)
            nothing = closed(port, requests, _SECONDS / 2, 16)
        with served("bentos.recommender.service:Recommender", settings, {"TASTEMAKER_RELEASE_DIR": str(release)}, port):
            closed(port, requests, 5.0, 16)
            steady = open_loop(port, requests, _SECONDS, _PER_SECOND)
            most = closed(port, requests, _SECONDS / 2, 16)
    for what, load in (("no-op, one after the other", nothing), ("steady", steady), ("one after the other", most)):
        console.print(f"{what}: {_told(load)}", highlight=False)
    return [
        Goal("answers a second", steady.per_second, ">", 0.99 * _PER_SECOND),
        Goal("not answered with a list", float(steady.failed + most.failed), "<=", 0.0),
        Goal("p90", steady.quantile(0.9), "<=", 7.0, " ms"),
        Goal("p99", steady.quantile(0.99), "<=", 15.0, " ms"),
        Goal("throughput over a no-op handler's", most.per_second / nothing.per_second, ">", 0.25),
    ]


def _told(load: Load) -> str:
    quantiles = ", ".join(f"p{round(share * 100)} {load.quantile(share):.1f}" for share in (0.5, 0.9, 0.99))
    return f"{load.per_second:,.0f}/s, {quantiles} ms, {load.failed} failed, tiers {load.tiers}"


def _ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
