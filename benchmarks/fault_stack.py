"""The platform's processes on a home of their own, killed without notice and started again by name."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import httpx

from benchmarks.local_kafka import free_port, wait_until
from tastemaker.broker.node import answers, uses_standin
from tastemaker.broker.topics import ensure_topics
from tastemaker.settings import Settings

__all__ = ["FaultStack", "StoreKind", "fault_stack"]

StoreKind = Literal["sqlite", "redis"]
_MODULES = {"broker": "broker.node", "collector": "stream.collector", "worker": "stream.worker"}


class FaultStack:
    """Broker, collector, workers, and the store's server where it has one.

    Args:
        settings: of all of them.
        store: what the online store is.
        store_port: of the store's server.

    Attributes:
        workers: their names.
        names: of all processes.
    """

    def __init__(self, settings: Settings, store: StoreKind, store_port: int) -> None:
        self.settings = settings
        self.workers = tuple(f"worker-{number}" for number in range(settings.workers))
        servers = ("store",) if store == "redis" else ()
        self.names = (*servers, "broker", "collector", *self.workers)
        self.logs = settings.run_dir / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._store_port = store_port
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start one; returns at once."""
        with self.log(name).open("ab") as log:
            env = os.environ | self.settings.to_env()
            self._running[name] = subprocess.Popen(self._command(name), env=env, stdout=log, stderr=log)

    def log(self, name: str) -> Path:
        """The file with what a process says, over all its starts."""
        return self.logs / f"{name}.log"

    def _command(self, name: str) -> list[str]:
        if name != "store":
            return [sys.executable, "-m", f"tastemaker.{_MODULES[name.partition('-')[0]]}"]
        from benchmarks.local_valkey import valkey_command

        directory = self.settings.home / "store"
        directory.mkdir(exist_ok=True)
        lasting = ("--appendonly", "yes", "--appendfsync", "always")  # so that what it has confirmed outlives a kill
        return valkey_command(directory, self._store_port, *lasting)

    def kill(self, name: str) -> None:
        """End one without notice."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def freeze(self, name: str) -> None:
        """Have one stand still."""
        self._running[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Have it go on."""
        self._running[name].send_signal(signal.SIGCONT)

    def check(self) -> None:
        """See that nothing has ended that nobody killed.

        Raises:
            SystemExit: something has, with what it said last.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                said = self.log(name).read_text(errors="replace")[-3_000:]
                raise SystemExit(f"{name} ended by itself with status {process.returncode}:\n{said}")

    def is_ready(self, name: str) -> bool:
        """Whether one does its work."""
        settings, pid = self.settings, self._running[name].pid
        if name == "broker":
            return answers(settings.host, settings.kafka_port)
        if name in self.workers:
            with suppress(OSError):
                return any(path.read_text() == str(pid) for path in settings.run_dir.glob("worker*.ready"))
            return False
        if name == "store":
            import redis

            with suppress(redis.RedisError):
                return bool(redis.Redis(host=settings.host, port=self._store_port).ping())
            return False
        with suppress(httpx.TransportError):
            answer = httpx.get(f"{settings.collector_url}/health/ready", trust_env=False)
            return answer.status_code == httpx.codes.OK
        return False

    def start_and_wait(self, *names: str) -> None:
        """Start some and wait until they do their work."""
        for name in names:
            self.start(name)
        for name in names:
            wait_until(f"{name} (see {self.log(name)})", lambda name=name: self._ready_or_ended(name))

    def _ready_or_ended(self, name: str) -> bool:
        self.check()
        return self.is_ready(name)

    def stop(self, name: str) -> int:
        """End one politely; returns its exit status."""
        process = self._running.pop(name)
        process.terminate()
        return process.wait(60)

    def close(self) -> None:
        """Kill what is left."""
        for name in list(self._running):
            self.kill(name)


@contextmanager
def fault_stack(store: StoreKind, workers: int, repository: Path, prepared: Path | None = None) -> Iterator[FaultStack]:
    """A stack whose broker and store run and whose topics are there; the rest is for the caller to start.

    Args:
        store: what the online store is.
        workers: how many there will be.
        repository: with the declarations.
        prepared: a home in which they were applied, to begin with a copy of it.

    Raises:
        SystemExit: Apache Kafka cannot run here; the stand-in may lose acknowledged events on a kill.
    """
    store_port = free_port()
    with tempfile.TemporaryDirectory() as home:
        if prepared is not None:
            shutil.copytree(prepared, home, dirs_exist_ok=True)
        settings = Settings.from_env(
            home=Path(home),
            repository=repository,
            kafka_port=free_port(),
            kafka_controller_port=free_port(),
            collector_port=free_port(),
            worker_metrics_port=free_port(),
            online_store=f"redis://127.0.0.1:{store_port}/0" if store == "redis" else "online.sqlite",
            workers=workers,
            clock_offset_us=0,
        )
        if uses_standin(settings):
            raise SystemExit("this needs Apache Kafka: install Java 17 and run `make setup`")
        stack = FaultStack(settings, store, store_port)
        try:
            stack.start_and_wait(*(name for name in stack.names if name in {"store", "broker"}))
            ensure_topics(settings)
            yield stack
        finally:
            stack.close()
