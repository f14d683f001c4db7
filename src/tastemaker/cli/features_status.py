"""``tastemaker features status``: what the online store has, how fresh it is, and what is being built."""

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.durations import age_text

if TYPE_CHECKING:
    from tastemaker.cli.worker_figures import WorkerFigures
    from tastemaker.features.audit.status import ViewStatus
    from tastemaker.settings import Settings

__all__ = ["status_command"]


def status_command(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Show each view's rows, freshness and state, the online store, and whether the declarations were edited since.

    "Newest" is how long ago the newest event or table row was. "Fresh" is the time within which 99 of 100 events were
    readable after the broker took them, since the stream worker started.

    Next: `tastemaker features rebuild` for a view that is missing or being built.
    """
    from tastemaker.cli.worker_figures import worker_figures
    from tastemaker.features.applied import edited_files
    from tastemaker.features.audit.status import former_views, view_status
    from tastemaker.features.plan import FeaturePlan
    from tastemaker.features.stores.opening import find_online_reader, stored_bytes

    settings = current_settings()
    plan = FeaturePlan.load(settings.plan_path)
    location = settings.online_location
    with find_online_reader(location) as reader:
        views = view_status(plan, reader)
        former = list(former_views(plan, reader)) if reader is not None else []
    figures = worker_figures(settings)
    edited = edited_files(settings, plan)
    facts = {
        "store": _where(location),
        "store_bytes": stored_bytes(location),
        "engine": settings.features_engine,
        "plan": plan.hash,
        "edited_since_apply": edited,
        "kept_for_older_releases": former,
        "workers": figures.workers if figures else 0,
        "lag_records": figures.lag if figures else None,
    }
    if as_json:
        rows = [_fields(view, figures) for view in views]
        console.print_json(json.dumps({**facts, "views": rows}, default=datetime.isoformat))
        return
    console.print(_facts(facts, settings))
    console.print(_table(views, figures, settings.clock.now()))
    _remarks(views, edited, former)


def _facts(facts: dict[str, Any], settings: "Settings") -> Table:
    table = Table.grid(padding=(0, 2))
    size = facts["store_bytes"]
    table.add_row("online store", facts["store"] + ("" if size is None else f"  {size / 2**20:,.0f} MiB"))
    applied = datetime.fromtimestamp(settings.plan_path.stat().st_mtime).astimezone()
    edited = facts["edited_since_apply"]
    state = f"edited since: {', '.join(edited)}" if edited else "feature_repo/ is as it was applied"
    table.add_row("declarations", f"plan {facts['plan']}, applied {applied:%Y-%m-%d %H:%M}; {state}")
    engine = "DuckDB on this machine" if facts["engine"] == "local" else facts["engine"]
    table.add_row("batch engine", engine)
    runs = f"{facts['workers']} running, {facts['lag_records']:,} records waiting" if facts["workers"] else "none runs"
    table.add_row("stream worker", runs)
    return table


def _table(views: list["ViewStatus"], figures: "WorkerFigures | None", now: datetime) -> Table:
    table = Table("view", "of", "rows", "newest", "fresh", "state")
    table.columns[0].no_wrap = True
    for place in (2, 3, 4):
        table.columns[place].justify = "right"
    for view in views:
        fresh = figures.freshness_s(view.view, 0.99) if figures and view.kind != "batch" else None
        table.add_row(
            view.view,
            " × ".join(view.entities),
            f"{view.rows:,}",
            age_text(now - view.newest) if view.newest else "-",
            "-" if fresh is None else f"≤ {fresh * 1000:,.0f} ms" if fresh < float("inf") else "> 60 s",
            _state(view),
        )
    return table


def _state(view: "ViewStatus") -> str:
    if view.state == "complete":
        return "[green]complete[/]"
    if view.state == "missing":
        return "[red]missing[/]"
    done, of = view.progress or (0, 0)
    return f"[yellow]building {f'{done}/{of}' if of else ''}[/]"


def _remarks(views: list["ViewStatus"], edited: list[str], former: list[str]) -> None:
    if edited:
        console.print("The declarations were edited: `tastemaker features apply` brings them in force.")
    if any(view.state == "missing" for view in views):
        console.print(
            "Missing views are built by the stream worker when it starts, or by `tastemaker features rebuild`."
        )
    if former:
        console.print(f"Kept as they were before the last apply, for older releases: {', '.join(former)}.")


def _fields(view: "ViewStatus", figures: "WorkerFigures | None") -> dict[str, Any]:
    fields = dataclasses.asdict(view)
    fields["progress"] = None if view.progress is None else list(view.progress)
    fresh = figures.freshness_s(view.view, 0.99) if figures else None
    fields["fresh_p99_s"] = None if fresh is None or fresh == float("inf") else fresh
    fields["late_events"] = figures.late.get(view.view, 0) if figures else None
    return fields


def _where(location: Path | str) -> str:
    if isinstance(location, Path):
        return str(location)
    scheme, _, rest = location.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"  # without a password
