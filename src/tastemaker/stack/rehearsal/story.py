"""The four acts: what happens to a good release, a degraded one, one that shoppers dislike, and one of drifted data."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from tastemaker import names
from tastemaker.errors import StackError
from tastemaker.lake.tables import Lake
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.promotion.rollout.store import RolloutStore
from tastemaker.promotion.verdict import Verdict
from tastemaker.release.parameters import TrainingParameters
from tastemaker.settings import Settings
from tastemaker.stack.components import process_env
from tastemaker.stack.flow_runs import FlowRun, FlowRuns
from tastemaker.stack.rehearsal.on_call import OnCall
from tastemaker.stack.rehearsal.shoppers import Shoppers, known_shoppers, send_script

__all__ = ["Outcome", "Story"]

# Small enough for a rehearsal; the release still has to beat every baseline.
PARAMETERS = TrainingParameters.model_validate(
    {
        "towers": {
            "chosen": {
                "dimension": 32,
                "window": 64,
                "basket": 8,
                "heads": 4,
                "dropout": 0.1,
                "event_dropout": 0.0,
                "temperature": 0.1,
                "learning_rate": 0.006,
                "average": 0.9,
                "epochs": 2,
            }
        },
        "ranker": {"cuts_days": [28], "max_lists": 2000},
    }
)
TEST_DAYS = 28
_SEED, _SHUFFLED_SEED = 1, 2
_SHOPPERS = 1_500
_LIKED, _DISLIKED = 0.35, 0.15
_ALERT_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """How an act ended.

    Attributes:
        title: the act.
        held: whether it ended as it has to.
        evidence: what was seen, a line each.
        links: where to look, while the stack runs.
    """

    title: str
    held: bool
    evidence: tuple[str, ...]
    links: tuple[str, ...] = ()


class Story:
    """The acts, in their order, on a running stack.

    Args:
        settings: of the stack.
        on_call: who gets its alerts.
        tell: takes a line for the timeline.
    """

    def __init__(self, settings: Settings, on_call: OnCall, tell: Callable[[str], None]) -> None:
        self._settings, self._on_call, self._tell = settings, on_call, tell
        self._runs = FlowRuns(settings.prefect_url)
        self._registry = ReleaseRegistry(settings)
        tomorrow = settings.clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self._cut: datetime = tomorrow - timedelta(days=TEST_DAYS)
        self._shuffling: subprocess.Popen[bytes] | None = None

    def good(self) -> Outcome:
        """A release that is trained as it should be is promoted. The shuffled one is trained meanwhile."""
        self._shuffling = self._train_shuffled()
        run = self._train(_SEED)
        champion = self._registry.champion()
        evidence = [f"{run.state_name}: {run.message}"]
        if champion is not None:
            evidence += self._checks(self._registry.get(champion.release).verdict)
        held = run.state_name == "Promoted" and champion is not None
        return Outcome("A good candidate is promoted", held, tuple(evidence), (run.url,))

    def degraded(self) -> Outcome:
        """A release whose labels were shuffled is blocked by its quality; on-call hears of it."""
        assert self._shuffling is not None
        if self._shuffling.wait(300):
            raise StackError("the training on shuffled labels failed; its log is in run/logs/shuffled.log of the home")
        run = self._train(_SHUFFLED_SEED)
        verdict = self._registry.list()[0].verdict
        alert = self._on_call.wait("GateBlocked", _ALERT_S)
        worse = {check.name for check in verdict.failures} & {"baseline_quality", "champion_quality"}
        held = run.state_name == "Blocked" and bool(worse) and alert is not None and self._serves(_SEED)
        evidence = [*self._checks(verdict), f"on-call: {alert.summary[:160] if alert else 'nothing arrived'}"]
        return Outcome("A degraded candidate, its labels shuffled, is blocked", held, tuple(evidence), (run.url,))

    def disliked(self) -> Outcome:
        """A release that offline is as good as the champion, and that shoppers click less, is rolled back."""
        champion = self._registry.champion()
        assert champion is not None
        run = self._train(_SEED, rollout="rehearsal")
        candidate = self._registry.list()[0]
        if run.state_name != "RollingOut":
            return Outcome(
                "A candidate that is bad online is rolled back", False, (f"{run.state_name}: {run.message}",)
            )
        self._tell(f"{candidate.id} passed the gate: {run.message}")
        users = known_shoppers(self._settings, _SHOPPERS)
        watch = self._runs.start("watch-rollout/default", {"for_seconds": 150, "every_seconds": 1})
        likes = {candidate.id: _DISLIKED}
        with Shoppers(self._settings, users, likes, otherwise=_LIKED, seed=_SEED) as shoppers:
            watched = self._follow(watch)
            began = time.monotonic()
            back = self._all_by(champion.release)
            seconds = time.monotonic() - began
        rollout = RolloutStore(self._settings.rollouts_dir).newest()
        assert rollout is not None
        alert = self._on_call.wait("ReleaseRolledBack", _ALERT_S)
        steps = [f"{entry.phase} {entry.step}: {entry.reason}" for entry in rollout.journal]
        told = [
            f"{shoppers.lists[name]:,} lists and {shoppers.clicks[name]:,} clicks of {who}"
            for name, who in ((champion.release, "the champion"), (candidate.id, "the candidate"))
        ]
        evidence = [
            *self._checks(candidate.verdict),
            *steps,
            *told,
            f"{len(shoppers.failures)} requests failed{': ' + shoppers.failures[0] if shoppers.failures else ''}",
            f"all lists by {champion.release} again: {'yes' if back else 'NO'}, asked within {seconds:.1f} s",
            f"on-call: {alert.summary[:160] if alert else 'nothing arrived'}",
        ]
        held = (
            rollout.phase == "reverted"
            and any(entry.phase == "reverting" and "clicks" in entry.reason for entry in rollout.journal)
            and back
            and not shoppers.failures
            and alert is not None
        )
        links = (run.url, watched.url)
        return Outcome("A candidate that is bad online is rolled back", held, tuple(filter(None, evidence)), links)

    def drifted(self) -> Outcome:
        """A script buys like no shopper does: what is trained now is blocked, and on-call hears of the drift."""
        items = self._items()
        sent = send_script(self._settings, items, accounts=1_200, each=40, seed=_SEED)
        self._wait_for_lake(sent)
        self._tell(f"{sent:,} purchases by a script are in the lake and the online store")
        run = self._train(_SEED)
        verdict = self._registry.list()[0].verdict
        looked = self._follow(self._runs.start("check-drift/default", {"days": TEST_DAYS, "on_drift": "alert"}))
        alert = self._on_call.wait("Drift", _ALERT_S)
        failed = {check.name for check in verdict.failures}
        held = (
            run.state_name == "Blocked" and "drift" in failed and looked.state_name == "Drifted" and alert is not None
        )
        evidence = [
            *self._checks(verdict),
            f"{looked.state_name}: {looked.message}",
            f"on-call: {alert.summary[:160] if alert else 'nothing arrived'}",
        ]
        report = f"{self._settings.reports_url}/{verdict.release}/drift.html"
        return Outcome("Drifted data are blocked, with an alert", held, tuple(evidence), (run.url, looked.url, report))

    def close(self) -> None:
        """End what was started beside the stack."""
        if self._shuffling is not None and self._shuffling.poll() is None:
            self._shuffling.kill()
            self._shuffling.wait()

    def _train(self, seed: int, rollout: str = "") -> FlowRun:
        parameters = {
            "cut": self._cut.isoformat(),
            "test_days": TEST_DAYS,
            "seed": seed,
            "rollout": rollout,
            "parameters": PARAMETERS.model_dump(mode="json"),
        }
        run = self._follow(self._runs.start("train/default", parameters))
        if run.state_type != "COMPLETED":
            raise StackError(f"the training run ended as {run.state_name}: {run.message}; its log: {run.url}")
        return run

    def _follow(self, run_id: str) -> FlowRun:
        """Follow a run to its end; the timeline has its steps as they begin."""
        known: set[str] = set()
        run = None
        for run in self._runs.follow(run_id, 0.5):
            for task, state in run.tasks.items():
                if task not in known and state in {"Running", "Completed", "Cached"}:
                    known.add(task)
                    self._tell(f"  {run.name}: {task}{' (done before)' if state == 'Cached' else ''}")
        assert run is not None
        return run

    def _train_shuffled(self) -> subprocess.Popen[bytes]:
        home = self._settings.home / "shuffled"
        line = [sys.executable, "-m", "tastemaker.stack.rehearsal.shuffled", str(home), self._cut.isoformat()]
        log = self._settings.run_dir / "logs" / "shuffled.log"
        with log.open("wb") as out:
            return subprocess.Popen(
                [*line, str(_SHUFFLED_SEED), PARAMETERS.model_dump_json()],
                env={**os.environ, **process_env(self._settings)},
                stdout=out,
                stderr=out,
            )

    def _checks(self, verdict: Verdict) -> list[str]:
        said = {"pass": "passed", "fail": "FAILED", "not_enough_data": "cannot tell"}
        shown = verdict.failures or verdict.checks
        rest = len(verdict.checks) - len(shown)
        lines = [f"gate {verdict.policy}: {check.name} {said[check.status]}: {check.summary}" for check in shown]
        return lines + ([f"gate {verdict.policy}: {rest} other checks passed"] if rest else [])

    def _serves(self, seed: int) -> bool:
        champion = self._registry.champion()
        return champion is not None and self._registry.get(champion.release).lineage.seed == seed

    def _all_by(self, release: str) -> bool:
        """Whether every one of fifty shoppers gets lists by a release."""
        with httpx.Client(timeout=30, trust_env=False) as client:
            made = {
                client.post(f"{self._settings.recommender_url}/v1/recommend", json={"user": user, "k": 10})
                .raise_for_status()
                .json()["release"]
                for user in known_shoppers(self._settings, 50)
            }
        return made == {release}

    def _items(self) -> list[str]:
        with Lake(self._settings.lake_dir).connect() as duck:
            rows: list[tuple[Any, ...]] = duck.execute(
                f"SELECT DISTINCT {names.ITEM_ID} FROM {names.TABLE_ITEMS} ORDER BY 1"
            ).fetchall()
        return [row[0] for row in rows]

    def _wait_for_lake(self, count: int, timeout_s: float = 120.0) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with Lake(self._settings.lake_dir).connect() as duck:
                row = duck.execute(
                    f"SELECT count(*) FROM {names.TABLE_EVENTS} WHERE {names.USER_ID} LIKE 'script-%'"
                ).fetchone()
            if row is not None and row[0] >= count:
                return
            time.sleep(0.5)
        raise StackError("the worker did not finish the script's events in time; see run/logs/worker.log of the home")
