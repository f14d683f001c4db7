"""Prometheus and Alertmanager as `tastemaker up --monitoring` runs them: what goes wrong reaches on-call.

The rules are the real ones with shorter windows, so that an alert does not take its five minutes.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from threading import Lock, Thread
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml
from prometheus_client import start_http_server
from typer.testing import CliRunner

from monitoring.drift import write_drift_report
from tastemaker.cli.app import app
from tastemaker.errors import StackError
from tastemaker.observability.alertmanager import Alertmanager
from tastemaker.observability.alerts import post_alert, send_waiting, waiting_alerts
from tastemaker.observability.flow_alerts import alert_of_a_test
from tastemaker.observability.telling import tell_drift, tell_gate
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.settings import Settings
from tastemaker.stack.components import local_components
from tastemaker.stack.monitoring.packages import fetch
from tastemaker.stack.monitoring.programs import find_programs
from tastemaker.stack.supervisor import Supervisor
from tests.e2e.own_ports import own_ports

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

REPOSITORY = Path(__file__).parents[2]
WITHIN_S = 60.0


class Receiver:
    """On-call: a server that keeps what Alertmanager's webhook sends."""

    def __init__(self) -> None:
        self._messages: list[dict[str, Any]] = []
        self._lock = Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                body["authorization"] = self.headers.get("authorization", "")
                with receiver._lock:
                    receiver._messages.append(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/alerts"

    def of(self, name: str, status: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Messages with an alert of this name and status, and that alert."""
        with self._lock:
            return [
                (message, alert)
                for message in self._messages
                for alert in message["alerts"]
                if alert["labels"]["alertname"] == name and alert["status"] == status
            ]

    def wait(self, name: str, status: str) -> tuple[dict[str, Any], dict[str, Any]]:
        wait_for(f"{name} {status} at the receiver", lambda: self.of(name, status))
        return self.of(name, status)[0]


def wait_for(what: str, condition: Callable[[], Any], seconds: float = WITHIN_S) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Settings:
    try:
        fetch(REPOSITORY)
    except StackError as error:
        if find_programs(REPOSITORY) is None:
            pytest.skip(str(error))
    place = tmp_path_factory.mktemp("alerts")
    repository = place / "repository"
    repository.mkdir()
    (repository / ".cache").symlink_to(REPOSITORY / ".cache")
    for part in ("prometheus", "alertmanager"):
        copytree(REPOSITORY / "monitoring" / part, repository / "monitoring" / part)
    rules = repository / "monitoring" / "prometheus" / "rules" / "serving.yaml"
    rules.write_text(rules.read_text().replace("[5m]", "[4s]").replace("for: 5m", "for: 1s"))
    routes = repository / "monitoring" / "alertmanager" / "alertmanager.yaml"
    config = yaml.safe_load(routes.read_text())
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "500ms", "group_interval": "1s"}
    routes.write_text(yaml.safe_dump(config))
    (place / "token").write_text("a-secret")
    receivers = place / "receivers.yaml"
    receivers.write_text(yaml.safe_dump({"webhook": [{"url": receiver.url, "token_file": str(place / "token")}]}))
    return own_ports(
        Settings.from_env(
            {},
            home=place / "home",
            repository=repository,
            monitoring=True,
            monitoring_seconds=0.5,
            alert_receivers=str(receivers),
            runbooks_url="https://runbooks.example.org/tastemaker",
        )
    )


@pytest.fixture(scope="module")
def running(settings: Settings) -> Iterator[Settings]:
    """The three components, ready; ended whatever happens."""
    names = ["exporter", "alertmanager", "prometheus"]
    supervisor = Supervisor(local_components(settings, names), settings, quiet=True)
    supervisor.start()
    try:
        supervisor.wait_ready(timeout=60)
        yield settings
    finally:
        supervisor.stop()


def frame(rows: int, shift: float, seed: int, days: int = 10) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    columns = {name: random.normal(shift, 1.0, rows) for name in ("price", "views", "age")}
    return pd.DataFrame(columns | {"day": np.arange(rows) % days})


def compare(settings: Settings, current: pd.DataFrame, directory: Path) -> list[str]:
    """What a flow does: compare, and tell."""
    summary = write_drift_report(frame(2_000, 0.0, 1, days=40), current, directory)
    drifted = list(summary.drifted)
    tell_drift(
        settings,
        "features",
        drifted=drifted,
        compared=summary.checked,
        alarm=len(drifted) > summary.checked / 2,
        error=summary.error,
    )
    return drifted


def fires_in_prometheus(settings: Settings, name: str) -> bool:
    answer = httpx.get(f"{settings.prometheus}/api/v1/alerts", trust_env=False).json()
    return any(one["labels"]["alertname"] == name and one["state"] == "firing" for one in answer["data"]["alerts"])


def test_injected_drift_and_the_blocked_gate_reach_on_call_once_and_end_with_the_recovery(running, receiver, tmp_path):
    assert compare(running, frame(2_000, 1.0, 2), tmp_path) == ["price", "views", "age"]
    tell_gate(running, "default", release="r2", passed=False, reasons=["drift: 100 % of the features drifted"])
    message, drift = receiver.wait("Drift", "firing")
    assert message["authorization"] == "Bearer a-secret"
    assert drift["labels"] == {
        "alertname": "Drift", "kind": "features", "severity": "ticket", "owner": "ml", "component": "flows"
    }  # fmt: skip
    assert drift["annotations"]["summary"] == "features: 3 of 3 columns drifted: price, views, age"
    assert drift["annotations"]["runbook_url"] == "https://runbooks.example.org/tastemaker/drift.md"
    _, blocked = receiver.wait("GateBlocked", "firing")
    assert "r2 may not go live" in blocked["annotations"]["summary"]
    assert "r2" not in blocked["labels"].values()

    # The rule sees the figure that the flow left: for Alertmanager it is the same alert.
    for name in ("Drift", "GateBlocked"):
        wait_for(f"{name} in Prometheus", lambda name=name: fires_in_prometheus(running, name))
    client = Alertmanager(running.alertmanager)
    found = {one["labels"]["alertname"]: one["annotations"]["summary"] for one in client.alerts()}
    shown = len(client.alerts())
    client.close()
    assert (sorted(found), shown) == (["Drift", "GateBlocked"], 2)
    assert found["Drift"] == drift["annotations"]["summary"]

    assert compare(running, frame(2_000, 0.0, 3), tmp_path) == []
    tell_gate(running, "default", release="r3", passed=True)
    receiver.wait("Drift", "resolved")
    receiver.wait("GateBlocked", "resolved")
    # One message each as it began; the later ones of the group would say it again with the other's beginning.
    for name in ("Drift", "GateBlocked"):
        starts = {alert["startsAt"] for _, alert in receiver.of(name, "firing")}
        assert len(starts) == 1


def test_degraded_lists_page_and_whole_lists_end_it(running, receiver):
    metrics = ServingMetrics()
    server, thread = start_http_server(running.recommender_port, running.host, metrics.registry)
    try:
        whole, popular = (metrics.lists.labels("home", tier) for tier in ("full", "popular"))

        def serve_until(name: str, status: str, **more: int) -> dict[str, Any]:
            def step() -> Any:
                whole.inc(10)
                popular.inc(more["degraded"])
                return receiver.of(name, status)

            wait_for(f"{name} {status}", step)
            return receiver.of(name, status)[0][1]

        alert = serve_until("DegradedTierShare", "firing", degraded=10)
        assert alert["labels"]["severity"] == "page"
        assert alert["annotations"]["runbook_url"].endswith("/degraded-tier-share.md")
        serve_until("DegradedTierShare", "resolved", degraded=0)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_alert_that_nobody_took_is_kept_and_arrives_later(running, receiver):
    away = running.model_copy(update={"alertmanager_url": "http://127.0.0.1:9"})  # discard: nobody listens
    test = alert_of_a_test("ticket")
    assert post_alert(away, test, lasts=timedelta(seconds=20), pause=lambda _: None) == "kept"
    assert [item.alert for item in waiting_alerts(running)] == [test]
    assert send_waiting(running) == 1
    assert waiting_alerts(running) == []
    receiver.wait("TestAlert", "firing")


def test_commands_try_the_way_and_silence_it(running, receiver, monkeypatch):
    for name, value in running.to_env().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["alerts", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    assert "Alertmanager has it: page" in run("test", "--severity", "page", "--for", "30s")
    wait_for("the page", lambda: any(a["labels"]["severity"] == "page" for _, a in receiver.of("TestAlert", "firing")))
    silenced = run("silence", "alertname=TestAlert", "severity=page", "--for", "5m", "-c", "it arrived", "--by", "me")
    silence = silenced.rpartition(" ")[2]

    def states() -> list[str]:
        alerts = json.loads(run("list", "--json"))["alerts"]
        return [one["status"]["state"] for one in alerts if one["labels"]["severity"] == "page"]

    wait_for("the silence", lambda: "suppressed" in states())
    assert "it arrived" in run("list")
    run("silence", "--end", silence)
    wait_for("the end of the silence", lambda: "suppressed" not in states())
