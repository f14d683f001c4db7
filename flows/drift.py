"""Check drift: what shoppers do now beside what the champion learned from; a drift can start a new training."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.deployments import run_deployment
from prefect.states import Completed, State
from pydantic import Field

from flows.on_call import DUE, HOOKS
from flows.retrying import RETRIES
from flows.sole import SoleRun
from monitoring.check_drift import check_drift
from monitoring.drift import HTML_NAME
from tastemaker.evaluation.drift import DriftSummary
from tastemaker.observability.telling import tell_drift
from tastemaker.promotion.releases import Release, ReleaseRegistry
from tastemaker.promotion.retrain import Retrain, retrain_once
from tastemaker.settings import Settings

__all__ = ["check_drift_flow"]


@task(cache_policy=NO_CACHE, **RETRIES, task_run_name="compare with {release.id}")
def _measure(settings: Settings, release: Release, days: int, seed: int) -> tuple[DriftSummary, str]:
    name = f"{settings.clock.now():%Y%m%dt%H%M%S}"
    summary = check_drift(settings, release.id, days, settings.reports_dir / "drift" / name, seed=seed)
    rows = [
        {"feature": one.label, "check": one.check, "value": one.value, "limit": one.limit, "outcome": one.status}
        for one in sorted(summary.columns, key=lambda one: one.status != "drifted")
    ]
    create_table_artifact(rows, key="drift", description=f"Features now beside those of {release.id}")
    link = f"{settings.reports_url}/drift/{name}/{HTML_NAME}" if summary.report else ""
    if link:
        create_link_artifact(link, "Drift report", key="live-drift-report")
    return summary, link


@task(cache_policy=NO_CACHE, **RETRIES, task_run_name="start a training")
def _retrain(settings: Settings, reason: str, cooldown: timedelta) -> Retrain | None:
    def start(key: str) -> str:
        run = run_deployment("train/default", timeout=0, as_subflow=False, idempotency_key=key, tags=["drift"])
        return str(run.id)

    return retrain_once(settings, reason, cooldown, start, settings.clock.now())


@flow(
    name="check-drift",
    description="Compare what is served with what the champion learned from.",
    log_prints=True,
    **HOOKS,
)
def check_drift_flow(
    days: Annotated[int, Field(ge=1, le=365)] = 7,
    max_share: Annotated[float, Field(ge=0, le=1)] = 0.5,
    on_drift: Literal["alert", "alert and retrain"] = "alert and retrain",
    cooldown_hours: Annotated[float, Field(ge=0, le=24 * 365)] = 24.0,
    seed: Annotated[int, Field(ge=0)] = 1,
) -> State[Any]:
    """Measure drift against the champion's training data, call on-call, and retrain.

    Args:
        days: how many days up to now are looked at, at most back to the champion's cut.
        max_share: share of the columns that may have drifted beyond their calibrated limits.
        on_drift: what follows.
        cooldown_hours: after a training that drift started, none is started for so long.
        seed: of the samples.

    Returns:
        A completed state named ``Stable``, ``Drifted``, ``NoChampion`` or ``Skipped``.
    """
    settings = Settings.from_env()
    sole = SoleRun(settings, "check-drift")
    if busy := sole.acquire():
        return Completed(name="Skipped", message=busy)
    try:
        registry = ReleaseRegistry(settings)
        champion = registry.champion()
        if champion is None:
            return Completed(
                name="NoChampion", message="no release is in production, so there is nothing to drift from"
            )
        summary, link = _measure(settings, registry.get(champion.release), days, seed)
        found = _words(summary, max_share)
        tell_drift(
            settings,
            "features",
            drifted=summary.drifted,
            compared=summary.checked,
            alarm=bool(found),
            error=summary.error,
            report=link,
            lasts=DUE["check-drift"],
        )
        if not found:
            return Completed(
                name="Stable", message=f"{len(summary.columns)} columns looked at, as {champion.release} knows them"
            )
        if on_drift == "alert":
            return Completed(name="Drifted", message=found)
        retrain = _retrain(settings, found, timedelta(hours=cooldown_hours))
    finally:
        sole.release()
    what = f"training run {retrain.run} was started" if retrain else "a training was started a short while ago"
    create_markdown_artifact(f"{found}; {what}", key="retrain")
    return Completed(name="Drifted", message=f"{found}; {what}")


def _words(summary: DriftSummary, max_share: float) -> str:
    """What drifted; empty when it is within bounds. What cannot be measured counts as drift."""
    if summary.error:
        return f"drift cannot be measured: {summary.error}"
    if summary.share <= max_share:
        return ""
    return f"{len(summary.drifted)} of {summary.checked} columns drifted: {', '.join(summary.drifted[:5])}"
