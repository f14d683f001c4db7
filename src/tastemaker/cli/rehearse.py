"""``tastemaker rehearse``: the story of four releases on local processes, with evidence for how each ends."""

import os
import shutil
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from tastemaker.cli.console import console
from tastemaker.cli.data import load_source
from tastemaker.errors import StackError
from tastemaker.settings import Settings
from tastemaker.stack.flow_runs import FlowRuns

__all__ = ["rehearse"]

_PARTS = (
    "kafka",
    "topics",
    "collector",
    "worker",
    "prefect-server",
    "flows",
    "prefect-worker",
    "reports",
    "recommender",
    "alertmanager",
)
_ACTS = 4


def rehearse(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack running at the end, to look at; Ctrl-C stops it.")
    ] = False,
) -> None:
    """Rehearse what happens to releases, on a stack and a home of its own that are gone afterwards.

    A good candidate is promoted. A degraded one, its labels shuffled, is blocked. One that passes offline and that
    shoppers dislike is rolled back by its canary. Drifted data are blocked. Alerts arrive at a local receiver.

    Data, training, gate, Kafka, Prefect, recommender, rollout and Alertmanager are real; shoppers and on-call are
    simulated. Exits 1 when an act does not end as it has to.
    """
    home = Path(tempfile.mkdtemp(prefix="tastemaker-rehearsal-"))
    try:
        held = _rehearse(home, keep)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if not held:
        raise typer.Exit(1)


def _rehearse(home: Path, keep: bool) -> bool:
    from tastemaker.features.repository import materialize
    from tastemaker.stack.components import local_components
    from tastemaker.stack.monitoring.programs import MISSING, find_programs
    from tastemaker.stack.ports import choose_ports
    from tastemaker.stack.rehearsal.feed import sample_shoppers
    from tastemaker.stack.rehearsal.on_call import OnCall
    from tastemaker.stack.rehearsal.outcome import Outcome
    from tastemaker.stack.rehearsal.story import LATE_DAYS, ONE_IN, Story
    from tastemaker.stack.supervisor import Supervisor
    from tastemaker.stack.workspace import import_history, prepare

    began = time.monotonic()

    def tell(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/]  {line}", highlight=False, soft_wrap=True)

    settings = Settings.from_env(
        {}, home=home, repository=Settings.from_env().repository, monitoring=True, clock_offset_us=0
    )
    if find_programs(settings.repository) is None:
        raise StackError(MISSING)
    # What the loops of a rehearsal compile to stays for the next one.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(settings.repository / ".cache" / "compiled"))
    on_call = OnCall()
    receivers = on_call.write_receivers(home / "receivers.yaml")
    settings, _ = choose_ports(settings.model_copy(update={"alert_receivers": str(receivers)}))
    dataset = sample_shoppers(load_source("online-retail", None, settings.repository), ONE_IN)
    settings = settings.with_clock_at(dataset.last_event + timedelta(minutes=10))
    today = settings.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    history, late = dataset.split(today - timedelta(days=LATE_DAYS))
    late, _ = late.split(today)
    outcomes: list[Outcome] = []
    # Broker and Prefect start while the history is brought in; what needs the declarations waits for them.
    with Supervisor(local_components(settings, only=_PARTS), settings, quiet=True) as stack:
        import_history(settings, replace(history, items=dataset.items))
        prepare(settings)
        tell(
            f"{history.events.num_rows:,} real events of one shopper in {ONE_IN} are in the lake; the sales of the last"
            f" {LATE_DAYS} days have yet to come"
        )
        stack.wait_ready(["flows", "prefect-worker"])
        tell(f"Prefect is up: {settings.prefect_url} has the runs, with their tables and reports")
        runs = FlowRuns(settings.prefect_url)
        for name in ("train", "materialize", "check-drift", "watch-rollout", "retain"):
            runs.stop_schedules(f"{name}/default")  # nothing happens but what the story tells
        story = Story(settings, on_call, late.events, tell=tell, wait_ready=stack.wait_ready)
        story.begin()
        stack.wait_ready(["collector", "worker", "alertmanager"])
        materialize(settings, settings.clock.now())
        try:
            for outcome in story.play():
                outcomes.append(outcome)
                mark = "[bold green]✓[/]" if outcome.held else "[bold red]✗[/]"
                tell(f"{mark} [bold]{outcome.title}[/]")
                for line in (*outcome.evidence, *outcome.links):
                    console.print(f"            {line}", highlight=False, markup=False, soft_wrap=True)
        finally:
            story.close()
            on_call.close()
        held = len(outcomes) == _ACTS and all(outcome.held for outcome in outcomes)
        tell("[bold green]The rehearsal went as it has to.[/]" if held else "[bold red]The rehearsal did not.[/]")
        if keep:
            console.print("The stack runs on; Ctrl-C stops it, and removes its home.")
            stack.run_forever()
    tell("nothing of it is left")
    return held
