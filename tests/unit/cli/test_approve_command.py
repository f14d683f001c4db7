"""``tastemaker approve`` and ``reject``, with a Prefect server that is played by a transport."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tastemaker.cli import approve
from tastemaker.cli.app import app
from tastemaker.errors import GateRejected, StackError
from tastemaker.promotion.verdict import Verdict
from tastemaker.settings import Settings
from tastemaker.stack.flow_runs import FlowRuns


class Server:
    """Answers as Prefect does; one run of ``promote`` waits, if so wished."""

    def __init__(self, *, waiting: bool, takes: bool = True, ends: str = "Promoted") -> None:
        self.waiting, self.takes, self.ends = waiting, takes, ends
        self.answered: dict[str, Any] = {}
        self.started: dict[str, Any] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path.removeprefix("/api"), json.loads(request.content or b"null")
        if path == "/flow_runs/filter":
            found = [{"id": "r1", "parameters": {"release": "rel1"}}] if self.waiting else []
            return httpx.Response(200, json=found)
        if path == "/flow_runs/r1/resume":
            self.answered = body["run_input"]
            details = {"reason": "it was not paused"}
            return httpx.Response(200, json={"status": "ACCEPT" if self.takes else "REJECT", "details": details})
        if path.startswith("/deployments/name/"):
            return httpx.Response(200, json={"id": "d1"})
        if path == "/deployments/d1/create_flow_run":
            self.started = body["parameters"]
            return httpx.Response(200, json={"id": "r1"})
        if path == "/task_runs/filter":
            return httpx.Response(200, json=[])
        state = ("COMPLETED", self.ends) if self.answered else ("PAUSED", "Suspended")
        return httpx.Response(
            200, json={"name": "r1", "state_type": state[0], "state_name": state[1], "state": {"message": "m"}}
        )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def _run(server: Server, *arguments: str, approval: str = "required"):
        class Registry:
            def __init__(self, _settings: Settings) -> None: ...

            def get(self, release: str) -> Any:
                now = Settings(home=tmp_path).clock.now()
                verdict = Verdict(
                    release=release,
                    decision="pass",
                    checks=(),
                    policy="careful",
                    decided_by="gate",
                    decided_at=now - timedelta(hours=1),
                    champion=None,
                    judged={},
                    approval=approval,
                )
                return type("Release", (), {"verdict": verdict})

        monkeypatch.setattr("tastemaker.promotion.releases.ReleaseRegistry", Registry)
        monkeypatch.setattr(approve, "current_settings", lambda: Settings(home=tmp_path))
        monkeypatch.setattr(
            approve, "FlowRuns", lambda url: FlowRuns(url, transport=httpx.MockTransport(server), patience_s=0)
        )
        return CliRunner().invoke(app, arguments)

    return _run


def test_approve_answers_the_run_that_waits_and_follows_it(run) -> None:
    server = Server(waiting=True)
    done = run(server, "approve", "rel1", "--reason", "looks right", "--by", "Ada")
    assert done.exit_code == 0, done.output
    assert server.answered == {"decision": "approve", "reason": "looks right", "decided_by": "Ada"}
    assert not server.started


def test_approve_without_a_run_that_waits_starts_one(run) -> None:
    server = Server(waiting=False, ends="RollingOut")
    assert run(server, "approve", "rel1", "--reason", "looks right").exit_code == 0
    assert server.started == {"release": "rel1"}
    assert server.answered["decision"] == "approve"
    assert server.answered["decided_by"]  # who is logged in


def test_approve_that_ends_otherwise_exits_with_1(run) -> None:
    assert run(Server(waiting=True, ends="Failed"), "approve", "rel1", "--reason", "x").exit_code == 1


def test_reject_ends_rejected(run) -> None:
    server = Server(waiting=True, ends="Rejected")
    assert run(server, "reject", "rel1", "--reason", "odd lists").exit_code == 0
    assert server.answered["decision"] == "reject"


def test_an_answer_that_prefect_refuses_is_an_error(run) -> None:
    done = run(Server(waiting=True, takes=False), "approve", "rel1", "--reason", "x")
    assert isinstance(done.exception, StackError)
    assert "it was not paused" in str(done.exception)


def test_approve_of_a_release_that_nobody_has_to_see_says_the_other_command(run) -> None:
    done = run(Server(waiting=True), "approve", "rel1", "--reason", "x", approval="none")
    assert isinstance(done.exception, GateRejected)
    assert "tastemaker releases promote rel1" in str(done.exception)


def test_approve_without_a_reason_is_refused(run) -> None:
    assert run(Server(waiting=True), "approve", "rel1").exit_code == 2
