"""``tastemaker approve`` and ``reject``: a person's decision on a release that passed a gate which wants one."""

import getpass
import time
from typing import Annotated, Literal

import typer

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.models import follow_run
from tastemaker.cli.steps import Steps
from tastemaker.errors import GateRejected
from tastemaker.stack.flow_runs import FlowRun, FlowRuns

__all__ = ["PROMOTE_DEPLOYMENT", "approve", "reject"]

PROMOTE_DEPLOYMENT = "promote/default"

ReleaseId = Annotated[str, typer.Argument(help="The release's id; `tastemaker releases list` has it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the release.")]
By = Annotated[str, typer.Option("--by", help="Who decides; left out: who is logged in here.")]


def approve(release: ReleaseId, reason: Reason, by: By = "") -> None:
    """Let a release go live that passed the gate and waits for a person.

    The same as the form in the Prefect UI. Exits 1 when the release does not go live all the same.

    Next: `tastemaker rollout status`.
    """
    _decide(release, "approve", reason, by)


def reject(release: ReleaseId, reason: Reason, by: By = "") -> None:
    """Keep a release from going live that passed the gate and waits for a person."""
    _decide(release, "reject", reason, by)


def _decide(release: str, decision: Literal["approve", "reject"], reason: str, by: str) -> None:
    from tastemaker.promotion.releases import ReleaseRegistry

    settings = current_settings()
    verdict = ReleaseRegistry(settings).get(release).verdict
    if verdict.approval == "none":
        raise GateRejected(
            f"the policy {verdict.policy!r} asks nobody about release {release}; promote it with:"
            f" tastemaker releases promote {release}"
        )
    runs = FlowRuns(settings.prefect_url)
    with Steps(console).step(f"{decision.title()} {release}") as step:
        run = _waiting(runs, release)
        if not run.is_final:
            runs.answer(run.id, {"decision": decision, "reason": reason, "decided_by": by or getpass.getuser()})
            run = follow_run(runs, run.id, step)
        step.done(f"{run.state_name}: {run.message}")
    console.print(f"The run: {run.url}")
    if run.state_name not in {"approve": {"Promoted", "RollingOut"}, "reject": {"Rejected"}}[decision]:
        raise typer.Exit(1)


def _waiting(runs: FlowRuns, release: str) -> FlowRun:
    """The run that waits for the decision; one is started where none does. It may have ended, if it was decided."""
    found = runs.waiting(PROMOTE_DEPLOYMENT.partition("/")[0], {"release": release})
    if found is not None:
        return found
    for run in runs.follow(runs.start(PROMOTE_DEPLOYMENT, {"release": release}), sleep=time.sleep):
        found = run
        if run.state_type == "PAUSED":
            break
    assert found is not None
    return found
