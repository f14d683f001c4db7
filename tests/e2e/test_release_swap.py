"""The recommender's own process: a new champion takes over under load, and SIGTERM loses neither answer nor log."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import httpx
import msgspec
import pytest

from tastemaker import names
from tastemaker.broker.kafka import KafkaConsumer
from tastemaker.broker.node import answers
from tastemaker.promotion.champion import Champion, locked, write_champion
from tastemaker.serving.contract import ServedList
from tastemaker.settings import Settings
from tastemaker.stack.components import process_env
from tests.contract.served_release import copy_small_release
from tests.e2e.own_ports import own_ports

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

REPOSITORY = Path(__file__).parents[2]
REGISTER = f"""
import sys, shutil, bentoml
for release in sys.argv[2:]:
    with bentoml.models.create("{names.RELEASE_MODEL}:" + release) as model:
        shutil.copytree(sys.argv[1], model.path, dirs_exist_ok=True)
"""


def _wait(what: str, condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        time.sleep(0.05)


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
        _wait("the broker", lambda: answers(settings.host, settings.kafka_port))
        subprocess.run([sys.executable, "-m", "tastemaker.broker.topics"], env=env, check=True, timeout=120)
        self._start("recommender", ["-m", "bentoml", "serve", "bentos.recommender.service:Recommender", *where], env)
        _wait(f"the recommender (see {logs})", self._ready)

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


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    trained, release = copy_small_release(tmp_path / "home", REPOSITORY)
    copytree(release, tmp_path / "release")
    settings = own_ports(trained.model_copy(update={"kafka_bootstrap_servers": "", "recommender_grpc_port": 0}))
    made = Served(settings, tmp_path)
    try:
        made.start(tmp_path / "release")
        yield made
    finally:
        made.close()


def test_takeover_and_shutdown_lose_neither_an_answer_nor_its_log(served):
    url = served.settings.recommender_url
    process = served.parts["recommender"]
    shoppers = [Shoppers(url, first) for first in range(4)]
    for shopper in shoppers:
        shopper.start()

    def answered() -> list[dict]:
        return [answer for shopper in shoppers for status, answer in list(shopper.answers) if status == 200]

    _wait("lists of r1", lambda: len(answered()) > 100)
    served.promote("r2")
    _wait("the takeover", lambda: httpx.get(f"{url}/v1/release", timeout=10).json()["release"] == "r2")
    before = len(answered())
    _wait("lists of r2", lambda: len(answered()) > before + 100)
    assert not [shopper.broken for shopper in shoppers if shopper.broken]  # one process, and it never stopped
    assert {status for shopper in shoppers for status, _ in shopper.answers} == {200}
    assert all(len(answer["items"]) == 5 for answer in answered())
    releases = [[answer["release"] for _, answer in shopper.answers] for shopper in shoppers]
    assert {name for names_ in releases for name in names_} == {"r1", "r2"}
    assert all(names_ == sorted(names_) for names_ in releases)  # once r2 has answered a caller, r1 does no more

    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in {0, -signal.SIGTERM}
    for shopper in shoppers:
        shopper.enough.set()
        shopper.join(30)
    assert any(shopper.refused for shopper in shoppers)
    refusals = [answer for shopper in shoppers for status, answer in shopper.answers if status != 200]
    assert all("shutting down" in answer["error"]["problem"] for answer in refusals)
    # Each list that was made has reached its caller and the log, to the last one.
    assert {one.request_id for one in served.logged()} == {answer["request_id"] for answer in answered()}
