"""Promote a release that passed the gate; a person decides first where the policy wants one.

The run that waits for a person is suspended: it keeps no process and no place, and starts from the top when it is
answered. All that it did before is written down once, so that starting again changes nothing.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.states import Completed, State
from pydantic import Field

from flows.live import go_live
from flows.on_call import HOOKS
from flows.showing import lineage_markdown
from tastemaker.promotion.approval import Approval, ask, decide_approval, read_approval
from tastemaker.promotion.releases import Release, ReleaseRegistry
from tastemaker.settings import Settings

__all__ = ["Decision", "promote_flow"]


class Decision(RunInput):  # type: ignore[misc]
    """The form that a person fills in."""

    decision: Literal["approve", "reject"] = Field(description="Whether this release may go live.")
    reason: str = Field(min_length=1, description="Why; it is kept with the release.")
    decided_by: str = Field(min_length=1, description="Your name; it is kept with the release.")


@task(cache_policy=NO_CACHE, task_run_name="show the evidence of {release.id}")
def _show(settings: Settings, release: Release) -> None:
    lines = [
        release.verdict.markdown(),
        "### Where it comes from",
        "",
        lineage_markdown(release),
        "",
        f"Reports: {settings.reports_url}/{release.id}/",
    ]
    create_markdown_artifact("\n".join(lines), key="evidence", description=f"What is known of {release.id}")


@task(cache_policy=NO_CACHE, task_run_name="note what was decided")
def _note(settings: Settings, release: Release, answer: Decision) -> Approval:
    return decide_approval(
        settings.releases_dir,
        release.verdict,
        answer.decision,
        reason=answer.reason,
        decided_by=answer.decided_by,
        now=settings.clock.now(),
    )


@flow(
    name="promote",
    description="Promote a release that passed the gate; wait for a person where its policy wants one.",
    log_prints=True,
    **HOOKS,
)
def promote_flow(
    release: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$")],
    patience_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 72.0,
    rollout: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$")] = "default",
) -> State[Any]:
    """Make a release the champion.

    Args:
        release: its id.
        patience_hours: how long a person has for an answer, in hours; none is a rejection.
        rollout: policy in ``monitoring/rollout/`` of the steps that it takes; empty: it goes live at once.

    Returns:
        A completed state named ``Promoted``, ``RollingOut`` or ``Rejected``.

    Raises:
        GateRejected: it did not pass, was compared with another champion, or its files changed.
    """
    settings = Settings.from_env()
    registry = ReleaseRegistry(settings)
    found = registry.get(release)
    if found.verdict.approval == "required":
        standing = _ask(settings, found, timedelta(hours=patience_hours))
        create_markdown_artifact(standing.line(), key="approval", description=release)
        if standing.decision != "approve":
            return Completed(name="Rejected", message=standing.line())
    name, message = go_live(settings, release, rollout)
    return Completed(name=name, message=message)


def _ask(settings: Settings, release: Release, patience: timedelta) -> Approval:
    """The answer of a person. Suspends the run while there is none; it comes back here when it is resumed."""
    now = settings.clock.now()
    asked = read_approval(settings.releases_dir, release.verdict, now)
    if asked is None:
        asked = ask(settings.releases_dir, release.verdict, now, patience, str(flow_run.get_id() or ""))
        _show(settings, release)
        print(asked.line())
    if asked.decision is not None:
        return asked
    form = Decision.with_initial_data(
        description=(
            f"**{release.id}** passed the gate `{release.verdict.policy}`, which wants a person to agree. The artifact"
            " `evidence` of this run has the verdict, the figures and the lineage."
        )
    )
    left = max((asked.expires_at - now).total_seconds(), 1.0)
    return _note(settings, release, suspend_flow_run(wait_for_input=form, timeout=int(left) + 1, key="approval"))
