"""The platform's processes on one machine, with a proxy before the store and one before the broker, to be broken."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from benchmarks.chaos_proxy import Proxy
from benchmarks.fault_stack import FaultStack, StoreKind
from benchmarks.local_kafka import free_port, wait_until
from tastemaker.broker.node import command, uses_standin
from tastemaker.broker.topics import ensure_topics
from tastemaker.serving.bento_service import RELEASE_DIR
from tastemaker.settings import Settings
from tastemaker.stack.components import process_env
from tastemaker.stack.workspace import rebuild_online

__all__ = ["BREAKABLE", "SERVICE", "ChaosStack", "chaos_stack"]

SERVICE = "bentos.recommender.service:Recommender"
BREAKABLE = "benchmarks.chaos_service:Recommender"
_START_S = 180.0


class ChaosStack(FaultStack):
    """As a fault stack, with recommenders, and with clients that reach store and broker through proxies.

    Args:
        settings: of all clients: its store and its broker are the proxies, where there are any.
        store: what the online store is.
        store_port: where the store's server listens.
        broker_port: where the broker listens.
        release: the directory of the release that recommenders serve.

    Attributes:
        proxies: by the name of what is behind.
        ports: of the recommenders, by name.
        release: as given; another one is for those that start later.
    """

    def __init__(self, settings: Settings, store: StoreKind, store_port: int, broker_port: int, release: Path) -> None:
        super().__init__(settings, store, store_port)
        self.release = release
        self.proxies: dict[str, Proxy] = {}
        self.ports: dict[str, int] = {}
        self._services: dict[str, str] = {}
        self._node = settings.model_copy(update={"kafka_port": broker_port})
        self._targets = {"store": store_port, "broker": broker_port}
        self._environ: dict[str, str] = {}

    def add_recommender(self, name: str, service: str = SERVICE, environ: dict[str, str] | None = None) -> int:
        """Make a recommender known, for :meth:`start`; returns its port."""
        self._services[name] = service
        self._environ.update(environ or {})
        self.ports.setdefault(name, free_port())
        return self.ports[name]

    def start_proxies(self) -> None:
        """Start those that have something behind them; it may come and go."""
        ports = {"broker": self.settings.kafka_port}
        if "store" in self.names:
            ports["store"] = int(self.settings.online_store.rpartition(":")[2].partition("/")[0])
        for name, port in ports.items():
            if port != self._targets[name]:
                self.proxies[name] = Proxy(port, self._targets[name])

    def start(self, name: str) -> None:
        """Start one; returns at once."""
        if name == "broker":
            self._write_broker()
        env = os.environ | process_env(self.settings) | self._environ
        if name in self._services:
            env |= {RELEASE_DIR: str(self.release)}
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(self._command(name), env=env, stdout=log, stderr=log)

    def _command(self, name: str) -> list[str]:
        if name == "broker":
            return self._java
        if name not in self._services:
            return super()._command(name)
        where = ["--host", "127.0.0.1", "--port", str(self.ports[name])]
        return [sys.executable, "-m", "bentoml", "serve", self._services[name], *where]

    def _write_broker(self) -> None:
        """The broker's configuration: it listens on its own port, and tells clients to come through the proxy."""
        self._java = command(self._node)
        properties = Path(self._java[-1])
        said = f"advertised.listeners=PLAINTEXT://{self.settings.host}:"
        text = properties.read_text().replace(f"{said}{self._node.kafka_port}\n", f"{said}{self.settings.kafka_port}\n")
        properties.write_text(text)

    def is_ready(self, name: str) -> bool:
        """Whether one does its work."""
        if name not in self.ports:
            return super().is_ready(name)
        with suppress(httpx.TransportError):
            url = f"http://127.0.0.1:{self.ports[name]}/v2/health/ready"
            return httpx.get(url, trust_env=False, timeout=2).status_code == httpx.codes.OK
        return False

    def runs(self, name: str) -> bool:
        """Whether one was started and not ended."""
        return name in self._running

    def end(self, *names: str) -> None:
        """End some, politely, where they run."""
        for name in names:
            if self.runs(name):
                self.stop(name)

    def family(self, name: str) -> list[psutil.Process]:
        """The processes of one, the one that was started first."""
        first = psutil.Process(self._running[name].pid)
        return [first, *first.children(recursive=True)]

    def _signal(self, name: str, number: int) -> None:
        """To all processes of one: BentoML's workers are in groups of their own."""
        for process in self.family(name):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self, name: str) -> None:
        """End one without notice, with all that it has started."""
        with suppress(psutil.NoSuchProcess):
            self._signal(name, signal.SIGKILL)
        self._running.pop(name).wait()

    def freeze(self, name: str) -> None:
        """Have one stand still, with all that it has started."""
        self._signal(name, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Have it go on."""
        self._signal(name, signal.SIGCONT)

    def stop(self, name: str) -> int:
        """End one politely; returns its exit status."""
        family = self.family(name)
        process = self._running.pop(name)
        process.terminate()
        try:
            return process.wait(30)
        finally:
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.kill()

    def close(self) -> None:
        """Kill what is left."""
        super().close()
        for proxy in self.proxies.values():
            proxy.close()

    def start_and_wait(self, *names: str) -> None:
        """Start some and wait until they do their work."""
        for name in names:
            self.start(name)
        for name in names:
            wait_until(f"{name} (see {self.log(name)})", lambda name=name: self._ready_or_ended(name), _START_S)


@contextmanager
def chaos_stack(
    prepared: Path, release: Path, *, store: StoreKind = "redis", proxied: bool = True, **options: object
) -> Iterator[ChaosStack]:
    """A stack that serves: store, broker, collector and worker run; recommenders are for the caller to start.

    Args:
        prepared: a home with a lake, a feature plan and a clock; it is copied, and gets the store's files, which take
            longest to make.
        release: the directory of a release; it is copied.
        store: what the online store is.
        proxied: whether store and broker are behind proxies, so that they can be slow.
        options: more settings.

    Raises:
        SystemExit: Apache Kafka cannot run here; the stand-in would be measured instead.
    """
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        shutil.copytree(prepared, home)
        shutil.copytree(release, Path(scratch) / release.name)
        store_port, broker_port = free_port(), free_port()
        seen = (free_port(), free_port()) if proxied else (store_port, broker_port)
        settings = Settings.from_env(
            home=home,
            kafka_port=seen[1],
            kafka_controller_port=free_port(),
            collector_port=free_port(),
            worker_metrics_port=free_port(),
            recommender_grpc_port=0,
            online_store=f"redis://127.0.0.1:{seen[0]}/0" if store == "redis" else "online.sqlite",
            **options,
        )
        if uses_standin(settings):
            raise SystemExit("this needs Apache Kafka: install Java 17 and run `make setup`")
        stack = ChaosStack(settings, store, store_port, broker_port, Path(scratch) / release.name)
        with _ended_by_sigterm(), closing(stack):
            stack.start_proxies()
            stack.start_and_wait(*(name for name in stack.names if name in {"store", "broker"}))
            ensure_topics(settings)
            _fill(stack, prepared, store_port)
            stack.start_and_wait("collector", *stack.workers)
            yield stack


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Whoever ends the run ends what it has started as well."""

    def leave(*_: object) -> None:
        raise SystemExit(1)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fill(stack: ChaosStack, prepared: Path, store_port: int) -> None:
    """Build the online state, not through the proxy, unless an earlier run has left it."""
    kept, files = prepared / "store", stack.settings.home / "store"
    if "store" not in stack.names:
        rebuild_online(stack.settings)
    elif not kept.exists():
        rebuild_online(stack.settings.model_copy(update={"online_store": f"redis://127.0.0.1:{store_port}/0"}))
        shutil.copytree(files, kept)  # all that the server has confirmed is there
