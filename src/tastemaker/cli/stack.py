"""``tastemaker up``, ``status``, ``logs``, ``down``: the local stack."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.steps import Steps
from tastemaker.errors import StackError
from tastemaker.settings import Settings

__all__ = ["addresses", "down", "logs", "status", "up"]

_STYLES = {"ready": "green", "done": "green", "starting": "yellow", "waiting": "yellow", "backoff": "red"}


def addresses(settings: Settings) -> Table:
    """Where to look while the stack runs."""
    table = Table.grid(padding=(0, 2))
    for what, url in (
        ("recommender: API docs", f"{settings.recommender_url}/docs"),
        ("collector", settings.collector_url),
        ("stream worker: metrics", settings.worker_metrics_url),
        ("Prefect: runs, artifacts, schedules", settings.prefect_url),
        ("reports: drift", settings.reports_url),
        ("Kafka", settings.broker),
        ("Prometheus", settings.prometheus),
        ("Alertmanager", settings.alertmanager),
    ):
        if not url:
            continue
        table.add_row(what, f"[cyan]{url}[/]")
    return table


def up(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Keep log lines in the files alone.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=64,
            help="Stream workers that share the partitions; TASTEMAKER_WORKERS when left out, which is 1 at first.",
        ),
    ] = None,
    monitoring: Annotated[
        bool, typer.Option("--monitoring", help="Prometheus and Alertmanager too; see docs/alerts.md.")
    ] = False,
) -> None:
    """Run the local stack until Ctrl-C: Kafka, collector, stream workers, Prefect server and worker, recommender.

    A process that dies is started again. The recommender starts when a release is promoted.

    Next: `tastemaker status` in another terminal, `tastemaker train` for a first release.
    """
    from tastemaker.serving.access.binding import check_stack_binding
    from tastemaker.serving.access.tls import check_certificate
    from tastemaker.stack.components import announcements, local_components
    from tastemaker.stack.ports import choose_ports
    from tastemaker.stack.record import read_stack
    from tastemaker.stack.supervisor import Supervisor
    from tastemaker.stack.workspace import prepare

    wanted: dict[str, Any] = {"workers": workers, "monitoring": monitoring or None}
    settings = Settings.from_env(None, **{name: value for name, value in wanted.items() if value is not None})
    record = read_stack(settings)
    if record is not None:
        raise StackError(
            f"a stack runs on {settings.home} already (process {record.pid}); see `tastemaker status`, stop it with"
            " `tastemaker down`, or set TASTEMAKER_HOME"
        )
    check_certificate(settings)
    check_stack_binding(settings)
    with Steps(console).step("Lake and feature declarations") as step:
        step.done(f"feature plan {prepare(settings).hash}")
    settings, moved = choose_ports(settings)
    for line in [*moved, *announcements(settings)]:
        console.print(f"[yellow]{line}[/]")
    console.print(addresses(settings))
    console.print("Ctrl-C stops everything.", style="dim")
    Supervisor(local_components(settings), settings, console, quiet=quiet).run_forever()


def status() -> None:
    """Show the running stack's processes, and where to look. Exits 1 when no stack runs here."""
    from tastemaker.stack.record import read_stack

    settings = Settings.from_env()
    record = read_stack(settings)
    if record is None:
        console.print(f"No stack runs on {settings.home}. Start one with: tastemaker up")
        raise typer.Exit(1)
    table = Table("process", "state", "pid", "for", "restarts", "")
    for part in record.components:
        state = f"[{_STYLES.get(part.state, 'dim')}]{part.state}[/]"
        age = str(timedelta(seconds=int(part.uptime_s)))
        table.add_row(part.name, state, str(part.pid or ""), age, str(part.restarts), part.detail)
    console.print(table)
    console.print(addresses(record.settings))


def logs(
    name: Annotated[str | None, typer.Argument(help="One process, such as worker; all when left out.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the newest lines of each.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come, until Ctrl-C.")] = False,
) -> None:
    """Show the newest log lines of the stack's processes, also after it was stopped."""
    from tastemaker.stack.logs import tail

    directory = Settings.from_env().run_dir / "logs"
    files = sorted(directory.glob("*.log"))
    if name is not None:
        files = [path for path in files if path.stem == name]
    if not files:
        known = ", ".join(path.stem for path in sorted(directory.glob("*.log"))) or "none; start the stack first"
        raise StackError(f"no log of {name or 'any process'} in {directory}; there is: {known}")
    ends = {path: path.stat().st_size for path in files}
    for path in files:
        _show(path, tail(path, lines))
    while follow:
        time.sleep(0.3)
        for path in files:
            size = path.stat().st_size
            if size > ends[path]:
                with path.open("rb") as file:
                    file.seek(ends[path])
                    _show(path, file.read(size - ends[path]).decode(errors="replace").rstrip("\n"))
            ends[path] = size


def _show(path: Path, text: str) -> None:
    for line in text.splitlines():
        console.print(f"{path.stem:>14} │ {line}", markup=False, highlight=False, soft_wrap=True)


def down() -> None:
    """Stop the stack that runs here, or what a killed one left behind."""
    from tastemaker.stack.record import stop_stack

    settings = current_settings()
    with Steps(console).step("Stopping") as step:
        step.done("everything is stopped" if stop_stack(settings) else "nothing was running")
