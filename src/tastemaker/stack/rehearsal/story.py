"""The four acts: what happens to a good release, a degraded one, one that shoppers dislike, and one of drifted data.

The acts overlap where one waits and another one computes: a run begins while on-call is being told of the one before,
and the broken export is looked at while the canary goes on.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import httpx
import pyarrow as pa

from tastemaker.errors import StackError
from tastemaker.evaluation.drift import DriftSummary
from tastemaker.promotion.releases import Release, ReleaseRegistry
from tastemaker.promotion.rollout.store import RolloutStore
from tastemaker.promotion.shoppers import recent_shoppers
from tastemaker.release.parameters import TrainingParameters
from tastemaker.settings import Settings
from tastemaker.stack.components import process_env
from tastemaker.stack.flow_runs import FlowRun
from tastemaker.stack.logs import tail
from tastemaker.stack.rehearsal.feed import BROKEN, break_export, deliver
from tastemaker.stack.rehearsal.on_call import OnCall, Received
from tastemaker.stack.rehearsal.outcome import Outcome, checks_told
from tastemaker.stack.rehearsal.runs import ToldRuns
from tastemaker.stack.rehearsal.shoppers import Shoppers

__all__ = ["LATE_DAYS", "ONE_IN", "PARAMETERS", "TEST_DAYS", "Story"]

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
                "epochs": 1,
            }
        },
        "ranker": {"cuts_days": [28], "max_lists": 2000},
    }
)
ONE_IN = 2
"""One known shopper of so many takes part."""
TEST_DAYS = 14
"""Days after the cut that candidates are judged on."""
LATE_DAYS = 14
"""The last days of the data, which come from the broken export; the drifted act is judged on them as well."""
_GATE, _ROLLOUT = "rehearsal", "rehearsal"
_SEED, _SHUFFLED_SEED = 1, 2
_SHOPPERS = 1_200
_LIKED, _DISLIKED = 0.35, 0.15
# In the last days without a fault 3 of 30 columns drift, because Christmas comes: no cause for an alarm.
_SEASON = 0.15
_ALERT_S = 60.0
_DISLIKED_TITLE = "A candidate that is bad online is rolled back"


class Story:
    """The acts, in their order, on a running stack.

    Args:
        settings: of the stack.
        on_call: who gets its alerts.
        late: events of the last :data:`LATE_DAYS` days, as they really were; they are not in the lake.
        tell: takes a line for the timeline.
        wait_ready: waits until components are ready.
    """

    def __init__(
        self,
        settings: Settings,
        on_call: OnCall,
        late: pa.Table,
        *,
        tell: Callable[[str], None],
        wait_ready: Callable[[list[str]], None],
    ) -> None:
        self._settings, self._on_call, self._late = settings, on_call, late
        self._tell, self._wait_ready = tell, wait_ready
        self._runs = ToldRuns(settings.prefect_url, tell)
        self._registry = ReleaseRegistry(settings)
        today = settings.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        self._cut: datetime = today - timedelta(days=TEST_DAYS + LATE_DAYS)
        self._first = ""
        self._shuffling: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start the first training; it does not need the online store yet."""
        self._tell("[bold]1. A release that is trained as it should be is promoted[/]")
        self._first = self._train("good", _SEED)

    def play(self) -> Iterator[Outcome]:
        """The acts, one after the other, as they end."""
        good = self._runs.follow(self._first, {"evaluate": self._train_shuffled})
        yield self._good(good)
        self._tell("[bold]2. A release whose ranker learned shuffled labels is blocked, and on-call hears of it[/]")
        self._wait_for_shuffled()
        degraded = self._runs.follow(self._train("degraded", _SHUFFLED_SEED))
        candidate = self._train("disliked", _SEED, rollout=_ROLLOUT)  # goes on while on-call is told
        yield self._degraded(degraded)
        self._tell("[bold]3. A release that passes, and that shoppers click less, is rolled back[/]")
        yield from self._disliked_and_drifted(self._runs.follow(candidate))

    def close(self) -> None:
        """End what was started beside the stack."""
        if self._shuffling is not None and self._shuffling.poll() is None:
            self._shuffling.kill()
            self._shuffling.wait()

    def _good(self, run: FlowRun) -> Outcome:
        champion = self._registry.champion()
        evidence = [f"{run.state_name}: {run.message}"]
        if champion is not None:
            evidence += checks_told(self._registry.get(champion.release).verdict)
        held = run.state_name == "Promoted" and champion is not None
        return Outcome("A good candidate is promoted", held, tuple(evidence), (run.url,))

    def _degraded(self, run: FlowRun) -> Outcome:
        verdict = self._registry.list()[0].verdict
        alert = self._on_call.wait("GateBlocked", _ALERT_S)
        worse = {check.name for check in verdict.failures} & {"baseline_quality", "champion_quality"}
        champion = self._registry.champion()
        serves = champion is not None and self._registry.get(champion.release).lineage.seed == _SEED
        held = run.state_name == "Blocked" and bool(worse) and alert is not None and serves
        evidence = [
            *checks_told(verdict),
            f"in production: {champion.release if champion else 'nothing'}, as before",
            _told(alert),
        ]
        return Outcome("A degraded candidate, its labels shuffled, is blocked", held, tuple(evidence), (run.url,))

    def _disliked_and_drifted(self, run: FlowRun) -> Iterator[Outcome]:
        """Acts 3 and 4: while shoppers try the candidate, the last days' sales arrive, and the next one is trained."""
        candidate, watch = self._registry.list()[0], ""
        if run.state_name == "RollingOut":
            self._wait_ready(["recommender"])
            self._tell(f"  {candidate.id} passed the gate, and half of the shoppers are to meet it")
            watch = self._runs.start("canary", "watch-rollout/default", {"for_seconds": 150, "every_seconds": 1})
        else:
            said = f"{run.state_name}: {run.message}"
            yield Outcome(_DISLIKED_TITLE, False, (said, *checks_told(candidate.verdict)), (run.url,))
        self._tell("[bold]4. A broken export: what is judged by it is blocked, and on-call hears of the drift[/]")
        sent = deliver(self._settings, break_export(self._late))
        self._tell(f"  {sent:,} sales of the last {LATE_DAYS} days came in pence, without categories and without times")
        judged = self._train("drifted", _SEED, days=TEST_DAYS + LATE_DAYS)
        asked = {"days": LATE_DAYS, "max_share": _SEASON, "on_drift": "alert"}
        looked = self._runs.start("drift check", "check-drift/default", asked)
        if watch:
            yield self._disliked(run, candidate, watch)
        yield self._drifted(self._runs.follow(judged), self._runs.follow(looked))

    def _disliked(self, run: FlowRun, candidate: Release, watch: str) -> Outcome:
        """Shoppers meet the candidate until the rollout is over."""
        champion = self._registry.champion()
        assert champion is not None
        users, likes = recent_shoppers(self._settings, _SHOPPERS), {candidate.id: _DISLIKED}
        with Shoppers(self._settings, users, likes, otherwise=_LIKED, seed=_SEED) as shoppers:
            watched = self._runs.follow(watch)
            began = time.monotonic()
            back = self._all_by(champion.release, users[:50])
            seconds = time.monotonic() - began
        alert = self._on_call.wait("ReleaseRolledBack", _ALERT_S)
        rollout = RolloutStore(self._settings.rollouts_dir).newest()
        assert rollout is not None
        held = (
            rollout.candidate == candidate.id
            and rollout.phase == "reverted"
            and any(entry.phase == "reverting" and "clicks" in entry.reason for entry in rollout.journal)
            and back
            and not shoppers.failures
            and alert is not None
        )
        evidence = (
            *checks_told(candidate.verdict),
            *(f"{entry.phase} {entry.step}: {entry.reason}" for entry in rollout.journal),
            *(
                f"{shoppers.lists[name]:,} lists and {shoppers.clicks[name]:,} clicks of {who}"
                for name, who in ((champion.release, "the champion"), (candidate.id, "the candidate"))
            ),
            f"{len(shoppers.failures)} requests failed" + "".join(f": {one}" for one in shoppers.failures[:1]),
            f"all lists by {champion.release} again: {'yes' if back else 'NO'}, asked within {seconds:.1f} s",
            _told(alert),
        )
        return Outcome(_DISLIKED_TITLE, held, evidence, (run.url, watched.url))

    def _drifted(self, run: FlowRun, looked: FlowRun) -> Outcome:
        release, champion = self._registry.list()[0], self._registry.champion()
        alert = self._on_call.wait("Drift", _ALERT_S)
        kept = DriftSummary.from_json((self._settings.reports_dir / release.id / "drift.json").read_bytes())
        failed = {check.name for check in release.verdict.failures}
        held = (
            run.state_name == "Blocked"
            and "drift" in failed
            and {f"targets: {name}" for name in BROKEN} <= set(kept.drifted)
            and looked.state_name == "Drifted"
            and alert is not None
            and champion is not None
            and champion.release != release.id
        )
        evidence = [
            *checks_told(release.verdict),
            f"drift check: {looked.state_name}: {looked.message}",
            _told(alert),
        ]
        report = f"{self._settings.reports_url}/{release.id}/drift.html"
        return Outcome("Drifted data are blocked, with an alert", held, tuple(evidence), (run.url, looked.url, report))

    def _train(self, title: str, seed: int, *, rollout: str = "", days: int = TEST_DAYS) -> str:
        parameters = {
            "cut": self._cut.isoformat(),
            "test_days": days,
            "policy": _GATE,
            "seed": seed,
            "rollout": rollout,
            "parameters": PARAMETERS.model_dump(mode="json"),
        }
        return self._runs.start(title, "train/default", parameters)

    def _train_shuffled(self) -> None:
        line = [sys.executable, "-m", "tastemaker.stack.rehearsal.shuffled", self._cut.isoformat()]
        log = self._settings.run_dir / "logs" / "shuffled.log"
        with log.open("wb") as out:
            self._shuffling = subprocess.Popen(
                [*line, str(_SEED), str(_SHUFFLED_SEED), PARAMETERS.model_dump_json()],
                env={**os.environ, **process_env(self._settings)},
                stdout=out,
                stderr=out,
            )

    def _wait_for_shuffled(self) -> None:
        if self._shuffling is None or self._shuffling.wait(300):
            log = self._settings.run_dir / "logs" / "shuffled.log"
            raise StackError(f"the training on shuffled labels failed; its log ends with\n{tail(log, 8)}")

    def _all_by(self, release: str, users: list[str]) -> bool:
        """Whether every one of these shoppers gets lists by a release."""
        with httpx.Client(timeout=30, trust_env=False) as client:
            made = {
                client.post(f"{self._settings.recommender_url}/v1/recommend", json={"user": user, "k": 10})
                .raise_for_status()
                .json()["release"]
                for user in users
            }
        return made == {release}


def _told(alert: Received | None) -> str:
    return f"on-call: {alert.name}: {alert.summary[:160]}" if alert else "on-call: nothing arrived"
