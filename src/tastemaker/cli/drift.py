"""``tastemaker drift``: what was measured of drift, and a measurement now."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.steps import Steps
from tastemaker.errors import DataError
from tastemaker.settings import Settings

if TYPE_CHECKING:
    from tastemaker.evaluation.drift import DriftSummary

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Drift of features, outcomes and predictions: reports, and a check now.")
_SUMMARY = "drift.json"
_PAGE = "drift.html"


@app.command("list")
def list_() -> None:
    """List all drift reports, newest first: those of releases, and those of checks since."""
    settings = current_settings()
    table = Table("report", "compared", "drifted", "page")
    for path in _reports(settings.reports_dir):
        summary = _read(path)
        drifted = summary.error or f"{len(summary.drifted)} of {summary.checked}"
        name = path.parent.relative_to(settings.reports_dir).as_posix()
        page = f"{settings.reports_url}/{name}/{_PAGE}" if summary.report else "–"
        table.add_row(name, f"{summary.current}, with {summary.reference}", drifted, page)
    console.print(table if table.row_count else "No report yet. A training run writes one; or: tastemaker drift check")


@app.command()
def show(
    report: Annotated[str, typer.Argument(help="A report's name, as listed: a release's id, or drift/TIME.")],
    every: Annotated[bool, typer.Option("--all", help="Also the checks that did not fire.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole summary with its calibration.")] = False,
) -> None:
    """Show a drift report: each check with its value, its calibrated limit, and where the limit comes from."""
    path = current_settings().reports_dir / report / _SUMMARY
    if not path.is_file():
        raise DataError(f"there is no drift report {report!r}; see: tastemaker drift list")
    summary = _read(path)
    if as_json:
        typer.echo(summary.to_json().decode())
    else:
        _print(summary, every=every)


@app.command()
def check(
    release: Annotated[str | None, typer.Argument(help="A release's id; the champion when left out.")] = None,
    days: Annotated[int, typer.Option(min=1, help="How many days up to now are looked at.")] = 7,
    seed: Annotated[int, typer.Option(help="Of the samples and the resampling.")] = 1,
) -> None:
    """Compare the last days with those before a release's cut, now. Exits 1 on drift, 2 when it cannot be measured."""
    from tastemaker.promotion.releases import ReleaseRegistry

    settings = current_settings()
    registry = ReleaseRegistry(settings)
    if release is None:
        champion = registry.champion()
        if champion is None:
            raise DataError("no release is in production yet; name one, or train one with: tastemaker train")
        release = champion.release
    cut, now = registry.get(release).lineage.data_to, settings.clock.now()
    directory = settings.reports_dir / "drift" / f"{now:%Y%m%dt%H%M%S}"
    with Steps(console).step(f"Drift since {cut:%Y-%m-%d}") as step:
        summary = _measure(settings, release, days, seed, directory)
        step.done(summary.error or f"{len(summary.drifted)} of {summary.checked} columns")
    _print(summary, every=False)
    if summary.report:
        console.print(f"report: {directory / _PAGE}", highlight=False, soft_wrap=True)
    if summary.error:
        raise typer.Exit(2)
    if summary.drifted:
        raise typer.Exit(1)


def _measure(settings: Settings, release: str, days: int, seed: int, directory: Path) -> "DriftSummary":
    """In a process of its own, from the repository: the report is the shop's to change, and no part of the package."""
    done = subprocess.run(
        [sys.executable, "-m", "monitoring.check_drift", release, str(days), str(seed), str(directory)],
        cwd=settings.repository,
        env={**os.environ, **settings.to_env()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise DataError(f"drift could not be measured from {settings.repository}: {last}")
    return _read(directory / _SUMMARY)


def _reports(directory: Path) -> list[Path]:
    found = [*directory.glob(f"*/{_SUMMARY}"), *directory.glob(f"drift/*/{_SUMMARY}")]
    return sorted(found, key=lambda path: path.parent.name, reverse=True)


def _read(path: Path) -> "DriftSummary":
    from tastemaker.evaluation.drift import DriftSummary

    return DriftSummary.from_json(path.read_bytes())


def _print(summary: "DriftSummary", *, every: bool) -> None:
    console.print(f"{summary.current}, compared with {summary.reference}", highlight=False)
    for group in summary.groups:
        if group.calibration is None:
            console.print(f"{group.name}: not compared: {group.error}", highlight=False, markup=False)
            continue
        made = group.calibration
        console.print(
            f"{group.name}: {group.current_rows:,} rows of {group.current_days} days against {group.reference_rows:,}"
            f" of {group.reference_days}; limits from {made.resamples:,} windows of {made.window_days} reference days,"
            f" false alarms {made.false_alarm_rate:.1%}",
            highlight=False,
        )
    table = Table("column", "check", "outcome", "value", "limit", "")
    for one in summary.columns:
        if every or one.status != "stable":
            figures = ["–" if value is None else f"{value:.4g}" for value in (one.value, one.limit)]
            style = "red" if one.status == "drifted" else None
            table.add_row(one.label, one.check, one.status, *figures, one.reason, style=style)
    console.print(table if table.row_count else "Nothing drifted.")
