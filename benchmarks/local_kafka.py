"""A Kafka node and other processes of the platform on a home of their own, for as long as a benchmark runs."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tastemaker.broker.node import answers, uses_standin
from tastemaker.broker.topics import ensure_topics
from tastemaker.settings import Settings

__all__ = ["free_port", "local_kafka", "process", "wait_until"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: str, condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    """Wait for a condition.

    Raises:
        SystemExit: it does not come true in time.
    """
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {limit_s:g} s in vain for {what}")
        time.sleep(0.02)


@contextmanager
def process(settings: Settings, module: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of the platform's processes, ended politely; its output goes to the home's ``run/logs``."""
    logs = settings.run_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"{module}.log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", f"tastemaker.{module}"], env=os.environ | settings.to_env(), stdout=log, stderr=log
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def local_kafka(**options: object) -> Iterator[Settings]:
    """Settings of a fresh home with the topics, whose Kafka node runs meanwhile.

    Raises:
        SystemExit: Apache Kafka cannot run here; the stand-in would be measured instead.
    """
    with tempfile.TemporaryDirectory() as home:
        settings = Settings.from_env(
            home=Path(home),
            kafka_port=free_port(),
            kafka_controller_port=free_port(),
            collector_port=free_port(),
            worker_metrics_port=free_port(),
            clock_offset_us=0,
            **options,
        )
        if uses_standin(settings):
            raise SystemExit("this benchmark needs Apache Kafka: install Java 17 and run `make setup`")
        with process(settings, "broker.node"):
            wait_until("Kafka", lambda: answers(settings.host, settings.kafka_port))
            ensure_topics(settings)
            yield settings
