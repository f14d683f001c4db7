"""A short load on a release's Bento, in a process of its own: how fast it answers, and how much memory it takes."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import psutil

from tastemaker.errors import ServingError
from tastemaker.promotion.bento import bento_path, build_bento
from tastemaker.promotion.findings import ServingLoad
from tastemaker.settings import Settings

__all__ = ["load_bento"]

_START_S = 120.0
_WARM_UP = 20
_MIB = 2**20


def load_bento(settings: Settings, release: str, shoppers: Sequence[str], *, requests: int = 300) -> ServingLoad:
    """Build a release's Bento, start it, and ask it for lists, one after the other.

    Args:
        settings: of the platform; the Bento reads its online store.
        release: id of a registered release.
        shoppers: whose lists are asked for, in turn.
        requests: how many, after some to warm up.

    Raises:
        ServingError: there is no shopper to ask for, or the Bento cannot be built or does not get ready.
    """
    if not shoppers:
        raise ServingError("the online store knows no shopper to ask a list for; import data and start the stack")
    bento = build_bento(settings, release)
    with _served(settings, bento) as (port, process, ready_s):
        milliseconds, failed = [], 0
        for at in range(_WARM_UP + requests):
            begun = time.perf_counter()
            fine = _ask(port, shoppers[at % len(shoppers)])
            if at >= _WARM_UP:
                milliseconds.append((time.perf_counter() - begun) * 1000)
                failed += not fine
        memory = _resident(process)
    p50, p99 = np.quantile(milliseconds, [0.5, 0.99])
    return ServingLoad(
        bento=bento,
        requests=requests,
        failed=failed,
        p50_ms=float(p50),
        p99_ms=float(p99),
        memory_mb=memory / _MIB,
        ready_s=ready_s,
    )


@contextmanager
def _served(settings: Settings, bento: str) -> Iterator[tuple[int, psutil.Process, float]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    directory = settings.home / "gate"
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "load.log"
    # By itself: without the stack's ports and keys, on this machine alone, and with the release of the Bento.
    alone = settings.model_copy(update={"follow_champion": False, "recommender_grpc_port": 0, "api_keys": ""})
    environ = {**os.environ, **alone.to_env(), "BENTOML_HOME": str(settings.bentoml_home)}
    environ |= {"BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "serve", str(bento_path(settings, bento))]
    begun = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], env=environ, stdout=out, stderr=out
        )
    try:
        while not _ready(port):
            if process.poll() is not None or time.monotonic() - begun > _START_S:
                raise ServingError(f"the Bento {bento} did not get ready; the end of {log}: {log.read_text()[-500:]}")
            time.sleep(0.2)
        yield port, psutil.Process(process.pid), time.monotonic() - begun
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _ask(port: int, shopper: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        body = json.dumps({"user": shopper, "k": 10})
        connection.request("POST", "/v1/recommend", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _resident(process: psutil.Process) -> int:
    """Memory of a process and its descendants, pages that they share divided among them."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            found = member.memory_full_info()
        except psutil.Error:
            continue
        total += int(getattr(found, "pss", found.rss))
    return total
