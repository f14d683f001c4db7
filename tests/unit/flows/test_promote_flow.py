"""The promotion flow and its form, on a real Prefect server. What builds the Bento is tested elsewhere."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gate_evidence import NOW, evidence, policy, write_release

from tastemaker.errors import GateRejected, StackError
from tastemaker.promotion.approval import read_approval
from tastemaker.promotion.gate import decide
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.settings import Settings
from tastemaker.stack.flow_runs import FlowRuns

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_api: str) -> Settings:
    made = Settings.from_env({}, home=tmp_path / "home")
    for name, value in made.to_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("flows.live.build_bento", lambda _settings, release: f"recommender:{release}")
    return made


@pytest.fixture
def register(settings: Settings, tmp_path: Path) -> Callable[..., None]:
    def _register(release: str, approval: str = "required") -> None:
        files = write_release(tmp_path / release, content=release)
        found = evidence(release=release, files=files, champion=None)
        verdict = msgspec.structs.replace(decide(policy(), found, now=NOW), approval=approval)
        ReleaseRegistry(settings).register(tmp_path / release, found, verdict)

    return _register


@pytest.fixture
def runs(prefect_api: str) -> FlowRuns:
    return FlowRuns(prefect_api.removesuffix("/api"))


class Worker:
    """Runs what is due of a deployment, as a worker does."""

    def __init__(self, release: str, **parameters: Any) -> None:
        from prefect.client.orchestration import get_client

        from flows.promote import promote_flow

        self._client = get_client(sync_client=True)
        self.parameters = {"release": release, **parameters}
        with self._client as client:
            deployment = client.create_deployment(
                client.create_flow(promote_flow), "tested", entrypoint="flows.promote"
            )
            self.run = client.create_flow_run_from_deployment(deployment, parameters=self.parameters)

    def work(self) -> Any:
        from prefect.client.orchestration import get_client
        from prefect.exceptions import Pause
        from prefect.flow_engine import run_flow

        from flows.promote import promote_flow

        with get_client(sync_client=True) as client, contextlib.suppress(Pause):
            run_flow(promote_flow, flow_run=client.read_flow_run(self.run.id), parameters=self.parameters)
        return self.state()

    def state(self) -> Any:
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            return client.read_flow_run(self.run.id).state


@pytest.fixture
def answers() -> dict[str, str]:
    return {"decision": "approve", "reason": "lists look right", "decided_by": "Ada"}


def test_promote_a_release_that_nobody_has_to_see_goes_live_at_once(settings: Settings, register: Any) -> None:
    register("free1", approval="none")
    state = Worker("free1").work()
    assert (state.name, state.message) == ("Promoted", "recommender:free1")
    champion = ReleaseRegistry(settings).champion()
    assert champion is not None
    assert champion.release == "free1"


def test_promote_waits_for_a_person_and_an_answer_of_the_wrong_type_changes_nothing(
    settings: Settings, register: Any, runs: FlowRuns, answers: dict[str, str]
) -> None:
    register("held1")
    worker = Worker("held1")
    state = worker.work()
    assert (state.type.value, state.name) == ("PAUSED", "Suspended")
    waiting = runs.waiting("promote", {"release": "held1"})
    assert waiting is not None
    assert waiting.id == str(worker.run.id)
    assert runs.waiting("promote", {"release": "another"}) is None
    # Prefect answers all of these with HTTP 200.
    for wrong in ({}, answers | {"decision": "maybe"}, answers | {"reason": ""}, answers | {"decided_by": 3}):
        with pytest.raises(StackError, match="REJECT"):
            runs.answer(waiting.id, wrong)
    assert ReleaseRegistry(settings).champion() is None
    with pytest.raises(GateRejected, match="waits for a person"):
        ReleaseRegistry(settings).promote("held1", "recommender:held1")

    runs.answer(waiting.id, answers)
    state = worker.work()
    assert (state.name, state.message) == ("Promoted", "recommender:held1")
    with pytest.raises(StackError, match="ABORT"):  # it waits no more
        runs.answer(waiting.id, answers)
    release = ReleaseRegistry(settings).get("held1")
    kept = read_approval(settings.releases_dir, release.verdict, settings.clock.now())
    assert kept is not None
    assert (kept.decision, kept.decided_by, kept.reason) == ("approve", "Ada", "lists look right")
    assert kept.run == str(worker.run.id)


def test_promote_that_a_person_rejects_ends_rejected_and_so_does_every_later_run(
    settings: Settings, register: Any, runs: FlowRuns, answers: dict[str, str]
) -> None:
    register("bad1")
    worker = Worker("bad1")
    worker.work()
    runs.answer(str(worker.run.id), answers | {"decision": "reject", "reason": "odd lists"})
    state = worker.work()
    assert state.is_completed()
    assert (state.name, state.message) == ("Rejected", "release bad1 was rejected by Ada: odd lists")
    assert Worker("bad1").work().name == "Rejected"
    assert ReleaseRegistry(settings).champion() is None


def test_promote_that_nobody_answers_in_time_is_rejected(
    settings: Settings, register: Any, runs: FlowRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("late1")
    worker = Worker("late1", patience_hours=1.0)
    assert worker.work().name == "Suspended"
    details = worker.state().state_details
    verdict = ReleaseRegistry(settings).get("late1").verdict
    asked = read_approval(settings.releases_dir, verdict, settings.clock.now())
    assert asked is not None
    assert asked.expires_at - asked.asked_at == timedelta(hours=1)
    # Prefect ends the run when the same time is over; the record says no at once.
    assert abs((details.pause_timeout - asked.expires_at).total_seconds()) < 30
    later = settings.with_clock_at(asked.expires_at)
    monkeypatch.setenv("TASTEMAKER_CLOCK_OFFSET_US", str(later.clock_offset_us))
    state = Worker("late1").work()
    assert state.name == "Rejected"
    assert "by nobody, within the time that was given" in state.message


def test_promote_a_release_that_failed_its_gate_fails_without_a_retry(
    settings: Settings, tmp_path: Path, runs: FlowRuns
) -> None:
    from gate_evidence import report

    files = write_release(tmp_path / "worse1", content="worse1")
    found = evidence(release="worse1", files=files, champion=None, evaluation=report(lift=(-0.03, -0.05, -0.01)))
    ReleaseRegistry(settings).register(tmp_path / "worse1", found, decide(policy(), found, now=NOW))
    worker = Worker("worse1")
    with pytest.raises(GateRejected, match="baseline_quality"):
        worker.work()
    run = runs.read(str(worker.run.id))
    assert run.state_type == "FAILED"
    assert set(run.tasks.values()) == {"Failed"}
