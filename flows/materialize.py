"""Bring batch feature views from the lake into the online store."""

from datetime import datetime
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, State

from flows.on_call import HOOKS
from flows.retrying import RETRIES
from flows.sole import SoleRun
from tastemaker.settings import Settings

__all__ = ["materialize_flow"]


@task(cache_policy=NO_CACHE, **RETRIES, task_run_name="materialize until {end}")
def _materialize(settings: Settings, end: datetime, refit_content: bool) -> list[str]:
    from tastemaker.features.repository import materialize

    return list(materialize(settings, end, refit_content=refit_content))


@flow(name="materialize", description="Bring batch feature views from the lake into the online store.", **HOOKS)
def materialize_flow(end: datetime | None = None, refit_content: bool = False) -> State[Any]:
    """Bring content vectors up to date, and materialise every batch feature view.

    Args:
        end: rows up to here (UTC); the platform's now when left out.
        refit_content: learn the content vectors' projection anew; old and new vectors are not comparable.

    Returns:
        A completed state with the names of the views that were written; named ``Skipped`` when another run is at it.
    """
    settings = Settings.from_env()
    sole = SoleRun(settings, "materialize")
    if busy := sole.acquire():
        return Completed(name="Skipped", message=busy)
    try:
        end = end or settings.clock.now()
        views = _materialize(settings, end, refit_content)
    finally:
        sole.release()
    create_markdown_artifact(
        "\n".join(
            ["| view | materialised until |", "|---|---|", *(f"| {view} | {end:%Y-%m-%d %H:%M} |" for view in views)]
        ),
        key="materialized-views",
        description="Batch feature views in the online store",
    )
    return Completed(message=", ".join(views), data=views)
