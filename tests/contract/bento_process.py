"""Builds a Bento around a release and serves it in a process of its own, as the stack does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx

from benchmarks.local_kafka import free_port
from tastemaker.names import RELEASE_MODEL
from tastemaker.settings import Settings

ROOT = Path(__file__).parents[2]


@cache
def build(settings: Settings, release: Path, service: str = "recommender") -> str:
    """Put the release into the model store and build a service's Bento with it; its tag."""
    store = f"""
import bentoml, shutil
if "{RELEASE_MODEL}:{release.name}" not in map(str, (model.tag for model in bentoml.models.list())):
  with bentoml.models.create("{RELEASE_MODEL}:{release.name}") as model:
      shutil.copytree({str(release)!r}, model.path, dirs_exist_ok=True)
"""
    subprocess.run([sys.executable, "-c", store], env=environment(settings), check=True, timeout=120)
    command = [sys.executable, "-m", "bentoml", "build", "-f", f"bentos/{service}/bentofile.yaml", "-o", "tag", "."]
    done = subprocess.run(
        command, env=environment(settings), cwd=ROOT, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1].removeprefix("__tag__:")


def environment(settings: Settings) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    bentoml = {"BENTOML_HOME": str(settings.bentoml_home), "BENTOML_DO_NOT_TRACK": "True"}
    return inherited | settings.to_env() | bentoml


@contextmanager
def served(settings: Settings, tag: str, grpc_port: int | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The Bento on free ports, from its readiness on: its address and its process."""
    port = free_port()
    log_path = settings.home / f"bento-{port}.log"
    command = [sys.executable, "-m", "bentoml", "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
    env = environment(settings.model_copy(update={"recommender_grpc_port": grpc_port or free_port()}))
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, env=env, cwd=settings.home, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while not _ready(url):
            assert process.poll() is None, log_path.read_text()
            assert time.monotonic() < deadline, log_path.read_text()
            time.sleep(0.1)
        yield url, process
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _ready(url: str) -> bool:
    try:
        response = httpx.get(f"{url}/v2/health/ready", timeout=5)
    except httpx.TransportError:
        return False
    assert "loading fails" not in response.text, response.text
    return response.status_code == 200
