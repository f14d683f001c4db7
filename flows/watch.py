"""Watch the rollout in progress: it advances, holds, or rolls back by what shoppers meet."""

import time
from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.states import Completed, State
from pydantic import Field

from flows.on_call import HOOKS
from flows.sole import SoleRun
from tastemaker.durable import replace_file
from tastemaker.errors import RolloutError
from tastemaker.observability.telling import tell_rollback
from tastemaker.promotion.rollout.kserve_champion import serve_champion
from tastemaker.promotion.rollout.opening import open_rollouts
from tastemaker.promotion.rollout.state import Rollout
from tastemaker.promotion.rollout.store import RolloutStore
from tastemaker.settings import Settings

__all__ = ["watch_rollout_flow"]


@flow(
    name="watch-rollout",
    description="Look at the rollout in progress, and advance it, hold it, or roll it back.",
    log_prints=True,
    **HOOKS,
)
def watch_rollout_flow(
    for_seconds: Annotated[float, Field(ge=0, le=3600)] = 240.0,
    every_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0,
) -> State[Any]:
    """Look again and again while a rollout runs; end at once when none does.

    A run that is killed leaves the rollout to the next one, and the champion gets all shoppers back when no next one
    comes within the policy's lease.

    Args:
        for_seconds: how long; a little less than the interval of the schedule.
        every_seconds: from one look to the next.

    Returns:
        A completed state named after the rollout's phase, ``NoRollout``, or ``Skipped``.
    """
    settings = Settings.from_env()
    sole = SoleRun(settings, "watch-rollout")
    if busy := sole.acquire():
        return Completed(name="Skipped", message=busy)
    try:
        if (served := serve_champion(settings)) is not None:
            print(f"no rollout runs, and the champion {served.champion} was given all calls")
        rollout = _watch(settings, for_seconds, every_seconds)
        if rollout is None:
            return Completed(name="NoRollout", message="no rollout was begun yet")
        _tell(settings, rollout)
    finally:
        sole.release()
    _show(rollout)
    last = rollout.journal[-2 if rollout.over and len(rollout.journal) > 1 else -1]
    return Completed(name=rollout.phase.title(), message=f"{rollout.candidate}, {last.step}: {last.reason}")


def _watch(settings: Settings, for_seconds: float, every_seconds: float) -> Rollout | None:
    store = RolloutStore(settings.rollouts_dir)
    until = time.monotonic() + for_seconds
    rollout = store.newest()
    while rollout is not None and not rollout.over:
        known, last = len(rollout.journal), time.monotonic() + every_seconds > until
        try:
            rollout = open_rollouts(settings).tick() or rollout
        except RolloutError as error:  # a command may be at it, or the recommender starts anew
            if last:
                raise
            print(f"another look in {every_seconds:g} s: {error}")
        for entry in rollout.journal[known:]:
            print(f"{entry.phase} {entry.step}: {entry.reason}")
        if rollout.over or last:
            break
        time.sleep(every_seconds)
    return rollout


def _tell(settings: Settings, rollout: Rollout) -> None:
    """Tell of a rollback once, whoever made it: a flow, a command, or a run that was killed before it could tell."""
    told = settings.home / "flows" / "told-rollback"
    if rollout.phase != "reverted" or (told.exists() and told.read_text() == rollout.id):
        return
    reason = next(entry.reason for entry in reversed(rollout.journal) if entry.phase == "reverting")
    where = "kserve" if settings.cluster_storage else "local"
    tell_rollback(settings, where, release=rollout.candidate, restored=rollout.champion, reason=reason)
    told.parent.mkdir(parents=True, exist_ok=True)
    replace_file(told, rollout.id.encode())


def _show(rollout: Rollout) -> None:
    rows = [
        {
            "at": f"{entry.at:%Y-%m-%d %H:%M:%S}",
            "phase": entry.phase,
            "step": entry.step,
            "why": entry.reason,
            "by": entry.by,
        }
        for entry in rollout.journal
    ]
    create_table_artifact(rows, key="rollout", description=f"{rollout.candidate} beside {rollout.champion}")
    judged = rollout.judged or next((entry.evidence for entry in reversed(rollout.journal) if entry.evidence), None)
    if judged is not None:
        findings = [
            {
                "guardrail": one.name,
                "status": one.status,
                "evidence": round(one.evidence, 2),
                "rolls back at": round(one.limit, 1),
                "found": one.summary,
            }
            for one in judged.findings
        ]
        create_table_artifact(findings, key="guardrails", description=judged.reason)
