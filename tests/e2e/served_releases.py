"""A broker and the recommender's own process over two releases that are alike, and shoppers who ask it."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree, rmtree

import httpx
import msgspec

from tastemaker import names
from tastemaker.broker.kafka import KafkaConsumer
from tastemaker.broker.node import answers
from tastemaker.promotion.champion import Champion, locked, write_champion
from tastemaker.serving.contract import ServedList
from tastemaker.settings import Settings
from tastemaker.stack.components import process_env
from tests.contract.served_release import copy_small_release
from tests.e2e.own_ports import own_ports
from tests.e2e.waiting import wait_for

REPOSITORY = Path(__file__).parents[2]
REGISTER = f"""
import sys, shutil, bentoml
for release in sys.argv[2:]:
    with bentoml.models.create("{names.RELEASE_MODEL}:" + release) as model:
        shutil.copytree(sys.argv[1], model.path, dirs_exist_ok=True)
"""


class Served:
    """A broker and the recommender, as the stack starts them, over two releases that are alike."""

    def __init__(self, settings: Settings, logs: Path) -> None:
        self.settings, self._logs = settings, logs
        self.parts: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, release: Path) -> None:
        """Register the release twice, and start everything; close it also where this fails."""
        settings, logs = self.settings, self._logs
        env = {**os.environ, **process_env(settings), "TASTEMAKER_FOLLOW_CHAMPION": "true"}
        subprocess.run([sys.executable, "-c", REGISTER, str(release), "r1", "r2"], env=env, check=True, timeout=120)
        self.promote("r1")
        where = ["--host", "127.0.0.1", "--port", str(settings.recommender_port)]
        self._start("kafka", ["-m", "tastemaker.broker.node"], env)
        wait_for("the broker", lambda: answers(settings.host, settings.kafka_port))
        subprocess.run([sys.executable, "-m", "tastemaker.broker.topics"], env=env, check=True, timeout=120)
        self._start("recommender", ["-m", "bentoml", "serve", "bentos.recommender.service:Recommender", *where], env)
        wait_for(f"the recommender (see {logs})", self._ready)

    def _start(self, name: str, words: list[str], env: dict[str, str]) -> None:
        with (self._logs / f"{name}.log").open("wb") as log:
            self.parts[name] = subprocess.Popen(
                [sys.executable, *words], env=env, stdout=log, stderr=log, cwd=REPOSITORY
            )

    def _ready(self) -> bool:
        assert self.parts["recommender"].poll() is None, (self._logs / "recommender.log").read_text()[-2_000:]
        try:
            return httpx.get(f"{self.settings.recommender_url}/v2/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def promote(self, release: str) -> None:
        champion = Champion(
            release=release, bento=f"recommender:{release}", promoted_at=datetime(2026, 3, 1, tzinfo=UTC)
        )
        with locked(self.settings.releases_dir):
            write_champion(self.settings.releases_dir, champion)

    def logged(self) -> list[ServedList]:
        """Every served list that the broker has."""
        topic = names.TOPIC_SERVED_LISTS
        consumer = KafkaConsumer(self.settings)
        try:
            begin, end = (offsets([topic])[topic] for offsets in (consumer.beginning_offsets, consumer.end_offsets))
            wanted = sum(end.values()) - sum(begin.values())
            consumer.assign({topic: begin})
            found: list[ServedList] = []
            while len(found) < wanted:
                found += [msgspec.json.decode(one.value, type=ServedList) for one in consumer.poll(1_000, 500)]
            return found
        finally:
            consumer.close()

    def close(self) -> None:
        for process in self.parts.values():
            process.terminate()
        for process in self.parts.values():
            process.wait(60)


class Shoppers(threading.Thread):
    """Ask without a pause until the process takes no more connections; every answer is kept."""

    def __init__(self, url: str, first: int) -> None:
        super().__init__(name=f"shopper-{first}", daemon=True)
        self._url, self._number = url, first
        self.answers: list[tuple[int, dict]] = []
        self.broken: list[str] = []  # accepted, and not answered
        self.refused = False
        self.enough = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self.enough.is_set():
                self._number += 1
                body = {"user": f"u{self._number % 40}", "k": 5}
                try:
                    answer = client.post(f"{self._url}/v1/recommend", json=body)
                    self.answers.append((answer.status_code, answer.json()))
                except httpx.ConnectError:
                    self.refused = True
                    return
                except httpx.TransportError as error:
                    self.broken.append(repr(error))


@contextmanager
def served_releases(scratch: Path) -> Iterator[Served]:
    """Train a small release, and serve it as r1 and r2 from a home below a directory; r1 is the champion."""
    trained, release = copy_small_release(scratch / "home", REPOSITORY)
    copytree(release, scratch / "release")
    settings = own_ports(trained.model_copy(update={"kafka_bootstrap_servers": "", "recommender_grpc_port": 0}))
    made = Served(settings, scratch)
    try:
        made.start(scratch / "release")
        yield made
    finally:
        made.close()
    rmtree(scratch / "home", ignore_errors=True)
