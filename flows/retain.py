"""Keep the lake fast and the disk small: compaction, retention of rows, of old releases, and of what runs left."""

import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, State
from pydantic import Field

from flows.on_call import HOOKS
from flows.retrying import RETRIES
from flows.sole import SoleRun
from tastemaker.lake.maintenance import compact, vacuum
from tastemaker.lake.retention import TIME_COLUMNS, expirable, expire
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.promotion.retention import retire, to_retire
from tastemaker.settings import Settings

__all__ = ["retain_flow"]


@task(cache_policy=NO_CACHE, task_run_name="compact {table}", **RETRIES)
def _compact(settings: Settings, table: str, keep_files: timedelta) -> dict[str, object]:
    lake = Lake(settings.lake_dir)
    done = compact(lake, table)
    return {
        "files before": done.before,
        "files after": done.after,
        "files deleted": vacuum(lake, table, retention=keep_files),
    }


@task(cache_policy=NO_CACHE, task_run_name="expire rows of {table}", **RETRIES)
def _expire(settings: Settings, table: str, keep: timedelta) -> int:
    lake, before = Lake(settings.lake_dir), settings.clock.now() - keep
    return expire(lake, table, before) if expirable(lake, table, before).rows else 0


@task(cache_policy=NO_CACHE, **RETRIES, task_run_name="retire releases but the newest {keep}")
def _retire(settings: Settings, keep: int) -> list[str]:
    """Never one that is served, tried, or gone back to; lineage and verdict stay."""
    registry = ReleaseRegistry(settings)
    return [retire(settings, registry, old.id).release for old in to_retire(settings, registry, keep=keep)]


@task(cache_policy=NO_CACHE, task_run_name="remove what old runs left", **RETRIES)
def _sweep(settings: Settings, keep: timedelta) -> int:
    """Trained directories that no run picked up again, and steps' results that Prefect keeps."""
    oldest = time.time() - keep.total_seconds()
    swept = 0
    for folder in (settings.home / "training", settings.reports_dir / "drift", settings.home / "prefect" / "storage"):
        for path in folder.iterdir() if folder.is_dir() else ():
            if _newest(path) < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                swept += 1
    return swept


def _newest(path: Path) -> float:
    """When anything below a path was last written, in seconds since the epoch."""
    return max((found.lstat().st_mtime for found in (path, *path.rglob("*"))), default=0.0)


@flow(
    name="retain",
    description="Compact the lake, and remove what was kept for long enough.",
    log_prints=True,
    **HOOKS,
)
def retain_flow(
    keep_rows_days: Annotated[int | None, Field(ge=1, description="Events and served lists; empty keeps all.")] = None,
    keep_files_days: Annotated[float, Field(ge=1 / 24, le=3650)] = 7.0,
    keep_releases: Annotated[int, Field(ge=1, le=10_000)] = 20,
    keep_runs_days: Annotated[float, Field(ge=1 / 24, le=3650)] = 14.0,
) -> State[Any]:
    """Compact every table; remove rows, releases and leftovers that were kept for long enough.

    Args:
        keep_rows_days: events and served lists older than this go, in days; nothing brings them back.
        keep_files_days: how long files that were replaced stay, for time travel, in days.
        keep_releases: how many of the newest stay, beside those that are needed.
        keep_runs_days: how long what runs left behind stays, in days.

    Returns:
        A completed state, named ``Skipped`` when another run is at it.
    """
    settings = Settings.from_env()
    sole = SoleRun(settings, "retain")
    if busy := sole.acquire():
        return Completed(name="Skipped", message=busy)
    try:
        lake, rows = Lake(settings.lake_dir), []
        for table in SCHEMAS:
            if not (lake.path(table) / "_delta_log").is_dir():
                continue
            gone = 0
            if keep_rows_days is not None and table in TIME_COLUMNS:
                gone = _expire(settings, table, timedelta(days=keep_rows_days))
            rows.append(
                {"table": table, "rows expired": gone} | _compact(settings, table, timedelta(days=keep_files_days))
            )
        retired = _retire(settings, keep_releases)
        swept = _sweep(settings, timedelta(days=keep_runs_days))
    finally:
        sole.release()
    said = f"{len(rows)} tables; {len(retired)} releases retired; {swept} leftovers of runs removed"
    create_table_artifact(rows, key="lake", description=said)
    return Completed(message=said)
