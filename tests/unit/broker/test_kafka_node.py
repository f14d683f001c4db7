import base64
import os
import shutil
from pathlib import Path

import pytest

from tastemaker.broker import node
from tastemaker.errors import StackError
from tastemaker.settings import Settings


@pytest.fixture
def settings(tmp_path):
    """A home and a repository with a jar; Java is a script that writes down how it was called."""
    jars = tmp_path / "repository/.cache/kafka-libs"
    jars.mkdir(parents=True)
    (jars / "kafka_2.13-4.1.1.jar").touch()
    return Settings(home=tmp_path / "home", repository=tmp_path / "repository", kafka_port=19092)


@pytest.fixture
def tools(tmp_path, monkeypatch) -> Path:
    """An otherwise empty PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(
        shutil, "which", lambda name, path=None: str(directory / name) if (directory / name).exists() else None
    )
    return directory


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def java(tools: Path, status: int = 0) -> Path:
    """A Java that logs its arguments and formats as the storage tool does."""
    calls = tools / "calls"
    script(
        tools / "java",
        f'echo "$@" >> {calls}; data=$(sed -n s/^log.dirs=//p "$(echo "$@" | sed "s/.*--config //")")\n'
        f'[ {status} = 0 ] && touch "$data/meta.properties" || echo cannot format\nexit {status}',
    )
    return calls


def properties(settings: Settings) -> dict[str, str]:
    lines = (settings.kafka_dir / "server.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_storage_is_formatted_once_and_keeps_its_cluster_id(settings, tools):
    calls = java(tools)
    first = node.command(settings)
    cluster_id = (settings.kafka_dir / "cluster-id").read_text()
    assert len(base64.urlsafe_b64decode(cluster_id + "==")) == 16
    assert f"--cluster-id {cluster_id}" in calls.read_text()
    assert node.command(settings) == first
    assert len(calls.read_text().splitlines()) == 1
    assert first[-2:] == ["kafka.Kafka", str(settings.kafka_dir / "server.properties")]


def test_moved_ports_are_used_at_the_next_start(settings, tools):
    java(tools)
    node.command(settings)
    assert properties(settings)["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:9093"
    node.command(settings.model_copy(update={"kafka_port": 29092, "kafka_controller_port": 29093}))
    moved = properties(settings)
    assert moved["advertised.listeners"] == "PLAINTEXT://127.0.0.1:29092"
    assert moved["controller.quorum.voters"] == "1@127.0.0.1:29093"


def test_storage_that_cannot_be_formatted_is_an_error_with_the_reason(settings, tools):
    java(tools, status=1)
    with pytest.raises(StackError, match=r"(?s)cannot be formatted.*cannot format"):
        node.command(settings)


@pytest.mark.parametrize("missing", ["java", "jars"])
def test_without_java_or_jars_the_stand_in_runs_and_is_announced(settings, tools, missing):
    if missing == "jars":
        java(tools)
        shutil.rmtree(settings.repository / ".cache")
    script(tools / "noida-db", "exit 0")
    assert node.uses_standin(settings)
    assert "acknowledged events may be lost on a crash" in node.announcement(settings)
    line = node.command(settings)
    assert line[:4] == [str(tools / "noida-db"), "start", "--only", "kafka"]
    assert line[-2:] == ["--kafka-port", "19092"]


@pytest.mark.parametrize(("standin", "why"), [(None, "is not installed"), ("exit 1", "does not run on this system")])
def test_no_broker_at_all_is_an_error_with_the_remedy(settings, tools, standin, why):
    if standin:
        script(tools / "noida-db", standin)
    with pytest.raises(StackError, match=f"noida-db {why}.*Install Java 17 and Maven.*KAFKA_BOOTSTRAP_SERVERS"):
        node.command(settings)


def test_real_broker_is_not_announced(settings, tools):
    java(tools)
    assert not node.uses_standin(settings)
    assert node.announcement(settings) is None
