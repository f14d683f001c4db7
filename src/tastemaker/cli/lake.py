"""``tastemaker lake``: what the Delta tables hold, and keeping them fast and small."""

import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.durations import parse_duration
from tastemaker.cli.steps import Steps
from tastemaker.errors import DataError

if TYPE_CHECKING:
    from tastemaker.lake.tables import Lake
    from tastemaker.settings import Settings

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="The lake, where everything that happened is kept: look at it, compact it, let old rows expire."
    " All of it may run while the stack runs.",
)

Tables = Annotated[list[str] | None, typer.Option("--table", help="Only this table; may stand more than once.")]
KeepFiles = Annotated[
    str,
    typer.Option(
        help="How long files that were replaced stay for those who still read them, and for time travel to the versions"
        " that releases were trained on."
    ),
]


@app.command("status")
def status_command(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Show each table's rows, files, size, oldest and newest day. Reads the log alone, so it is quick.

    Many files for few rows: `tastemaker lake compact`. Much more on disk than in use: the same, once the replaced
    files are old enough.
    """
    from tastemaker.lake.status import table_status

    lake = _lake(current_settings())
    states = [table_status(lake, table) for table in _tables(lake, None)]
    if as_json:
        console.print_json(json.dumps([dataclasses.asdict(state) for state in states], default=datetime.isoformat))
        return
    headings = ("table", "rows", "files", "in use", "on disk", "from", "until")
    shown = Table(*headings, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=str(lake.root))
    for column in shown.columns:
        column.no_wrap = True
    for column in shown.columns[1:5]:
        column.justify = "right"
    for state in states:
        shown.add_row(
            state.table,
            f"{state.rows:,}",
            f"{state.files:,}",
            _size(state.bytes),
            _size(state.bytes_on_disk),
            _time(state.oldest),
            _time(state.newest),
        )
    console.print(shown)


@app.command("compact")
def compact_command(
    tables: Tables = None,
    target_mb: Annotated[int, typer.Option(min=1, help="Size of a file that is large enough.")] = 128,
    keep_files: KeepFiles = "7d",
) -> None:
    """Rewrite many small files as few large ones, then delete files that were replaced long ago.

    The stream worker writes a small file a second, and each costs every query a little. Appends go on meanwhile. Worth
    a run every night, or every hour where much comes in.
    """
    from tastemaker.lake.maintenance import compact, vacuum

    retention = parse_duration(keep_files)
    lake, steps = _lake(current_settings()), Steps(console)
    for table in _tables(lake, tables):
        with steps.step(f"Compacting {table}") as step:
            done = compact(lake, table, target_bytes=target_mb * 1024 * 1024)
            step.progress("deleting replaced files")
            deleted = vacuum(lake, table, retention=retention)
            rewritten = f"{done.before:,} files are {done.after:,} now" if done.before else "nothing to compact"
            step.done(f"{rewritten}; {deleted:,} replaced files deleted")


@app.command("expire")
def expire_command(
    keep: Annotated[str, typer.Option(help="How much of the past stays, such as 400d or 60w.")] = "400d",
    tables: Tables = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    keep_files: KeepFiles = "7d",
) -> None:
    """Remove events and served lists that are older than --keep, counted back from the platform's clock.

    Of items, the newest version always stays, and every version that held within the time that is kept. Appends go on
    meanwhile. The rows are gone from every query at once; their files go --keep-files later, with this command or
    `tastemaker lake compact`. Try it with --dry-run first: nothing brings rows back after that.
    """
    from tastemaker.lake.maintenance import vacuum
    from tastemaker.lake.retention import expirable, expire

    retention, span = parse_duration(keep_files), parse_duration(keep)
    settings = current_settings()
    lake, steps = _lake(settings), Steps(console)
    try:
        before = settings.clock.now() - span
    except OverflowError as error:
        raise DataError(f"--keep {keep} reaches back before the first year; write a shorter span") from error
    _warn_of_windows(settings, span.total_seconds())
    chosen = _tables(lake, tables)
    found = {table: expirable(lake, table, before) for table in chosen}
    for table, rows in found.items():
        console.print(
            f"{table}: {rows.rows:,} rows from before {_time(before)} go, {rows.kept:,} stay", highlight=False
        )
    if dry_run:
        console.print("This was a dry run; nothing changed.")
        return
    if any(rows.rows for rows in found.values()) and not yes:
        typer.confirm("Remove them?", abort=True)
    for table in chosen:
        with steps.step(f"Expiring {table}") as step:
            removed = expire(lake, table, before) if found[table].rows else 0
            step.progress("deleting replaced files")
            deleted = vacuum(lake, table, retention=retention)
            step.done(f"{removed:,} rows removed; {deleted:,} replaced files deleted")


def _warn_of_windows(settings: "Settings", keep_s: float) -> None:
    """Features that look back further than what is kept would come out smaller in training than online."""
    from tastemaker.features.plan import FeaturePlan

    if not settings.plan_path.exists():
        return
    plan = FeaturePlan.load(settings.plan_path)
    longest = max((feature.window_us for view in plan.views for feature in view.features), default=0)
    if longest > keep_s * 1e6:
        console.print(
            f"[yellow]A declared window looks back {longest / 86_400e6:g} days, further than --keep: training sets and"
            " rebuilds would count less than what is served.[/]"
        )


def _lake(settings: "Settings") -> "Lake":
    from tastemaker.lake.tables import Lake

    return Lake(settings.lake_dir)


def _tables(lake: "Lake", chosen: list[str] | None) -> list[str]:
    """The tables to deal with: those chosen, else those that exist.

    Raises:
        DataError: there is no lake, or no such table.
    """
    from tastemaker.lake.tables import SCHEMAS

    if chosen:
        return [lake.path(table).name for table in chosen]
    existing = [table for table in SCHEMAS if (lake.path(table) / "_delta_log").is_dir()]
    if not existing:
        raise DataError(f"there is no lake at {lake.root}; bring data in with `tastemaker data import`")
    return existing


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d") if moment else "-"
