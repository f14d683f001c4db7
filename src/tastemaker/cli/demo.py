"""``tastemaker demo``: the whole loop on real data, from a file of invoices to a list that reacts to a click."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel

from tastemaker import names
from tastemaker.cli.closing import check_loop
from tastemaker.cli.console import console
from tastemaker.cli.data import LIVE_DAYS, load_source, replay_start
from tastemaker.cli.models import TRAIN_DEPLOYMENT, follow_run
from tastemaker.cli.moment import Moment, live_moment
from tastemaker.cli.recommend import render_list
from tastemaker.cli.stack import addresses
from tastemaker.cli.steps import Steps
from tastemaker.errors import GateRejected, StackError
from tastemaker.settings import Settings
from tastemaker.stack.component import Status
from tastemaker.stack.flow_runs import FlowRun, FlowRuns
from tastemaker.stack.supervisor import Supervisor

if TYPE_CHECKING:
    from tastemaker.events.adapters.dataset import Dataset

__all__ = ["demo"]


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Exit when the loop has closed: status 0 only if it really did.")
    ] = False,
    user: Annotated[str, typer.Option(help="The customer whose list is shown.")] = "17850",
) -> None:
    """Run the whole loop on real shopping data (Online Retail), and leave the stack running to look at.

    Cleans a year of invoices, loads all but the last 28 days into the lake, starts the local stack, replays the last
    28 days through Kafka, trains and judges a release in a Prefect flow, serves it, and shows one customer's list
    before and after a few clicks. A second run reuses what is there.
    """
    from tastemaker.stack.components import announcements, local_components
    from tastemaker.stack.ports import choose_ports
    from tastemaker.stack.workspace import import_history, prepare

    steps = Steps(console)
    settings, moved = choose_ports(Settings.from_env())
    for line in [*moved, *announcements(settings)]:
        console.print(f"[yellow]{line}[/]")
    with steps.step("Cleaning Online Retail") as step:
        dataset = load_source("online-retail", None, settings.repository)
        step.done(f"{dataset.events.num_rows:,} of {dataset.report.rows:,} invoice lines are events")
    if not settings.clock_offset_us:
        settings = settings.with_clock_at(dataset.last_event + timedelta(minutes=10))
    history, live = dataset.split(replay_start(dataset, LIVE_DAYS))
    with steps.step("History into the lake") as step:
        added = import_history(settings, history)
        step.done(f"{added.events:,} events and {added.items:,} items" if added.events else "it was there already")
    with Supervisor(local_components(settings), settings, console, quiet=True) as stack:
        with steps.step("Feature declarations") as step:
            plan = prepare(settings)
            step.done(f"{sum(len(view.features) for view in plan.views)} features in {len(plan.views)} views")
        with steps.step("Kafka, collector, stream worker and its online store") as step:
            stack.wait_ready(["collector", "worker"], on_progress=lambda found: step.progress(_waiting(found)))
        with steps.step(f"Replaying the last {LIVE_DAYS} days through Kafka as live events") as step:
            step.done(_replay(settings, live, step.progress))
        with steps.step("Batch features into the online store") as step:
            from tastemaker.features.repository import materialize

            step.done(", ".join(materialize(settings, settings.clock.now())))
        with steps.step("Prefect and its flows") as step:
            stack.wait_ready(["flows", "prefect-worker"], on_progress=lambda found: step.progress(_waiting(found)))
        run = _release(settings, steps)
        with steps.step("The recommender, from its Bento") as step:
            stack.wait_ready(["recommender"], on_progress=lambda found: step.progress(_waiting(found)))
        moment = live_moment(settings, user)
        _show_moment(moment)
        closing = check_loop(settings, moment, patience_s=20.0)
        console.print(closing)
        _show_end(settings, moment.after["release"], run, steps)
        if not once:
            console.print("The stack runs on. [bold]Ctrl-C[/] stops everything; or, elsewhere, `tastemaker down`.")
            stack.run_forever()
            console.print("Everything is stopped.")
    if not closing.closed:
        raise typer.Exit(1)


def _waiting(statuses: list[Status]) -> str:
    return ", ".join(f"{status.name} {status.state}" for status in statuses if not status.satisfied)


def _replay(settings: Settings, live: "Dataset", progress: Callable[[str], None]) -> str:
    """Send the live part and wait until the worker has brought all of it to the online store and the lake."""
    from tastemaker.broker.kafka import KafkaProducer
    from tastemaker.lake.tables import Lake
    from tastemaker.stream.replay import replay

    started = time.monotonic()
    producer = KafkaProducer(settings)
    try:
        sent = replay(
            producer, live.events, live.items, progress=lambda done, total: progress(f"{done:,} of {total:,} in Kafka")
        )
    finally:
        producer.close()
    lake = Lake(settings.lake_dir)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with lake.connect() as connection:
            row = connection.execute(
                f"SELECT count(*) FROM {names.TABLE_EVENTS} WHERE {names.OCCURRED_AT} >= ?", [live.first_event]
            ).fetchone()
        arrived = int(row[0]) if row else 0
        if arrived >= sent.events:
            rate = sent.events / (time.monotonic() - started)
            return f"{sent.events:,} events in the lake and the online store, {rate:,.0f} a second"
        progress(f"{arrived:,} of {sent.events:,} in the lake")
        time.sleep(0.5)
    raise StackError("the worker did not finish the replayed events in time; see: tastemaker logs worker")


def _release(settings: Settings, steps: Steps) -> FlowRun | None:
    """Train, unless a release is in production already.

    Raises:
        GateRejected: the gate blocked it.
        StackError: the run failed.
    """
    from tastemaker.promotion.releases import ReleaseRegistry

    champion = ReleaseRegistry(settings).champion()
    if champion is not None:
        with steps.step("Release") as step:
            step.done(f"{champion.release} is in production already; `tastemaker train` makes another")
        return None
    runs = FlowRuns(settings.prefect_url)
    with steps.step("Training, evaluating and judging a release (Prefect flow)") as step:
        run = follow_run(runs, runs.start(TRAIN_DEPLOYMENT, {}), step)
        step.done(f"{run.state_name}: {run.message}")
    if run.state_name == "Blocked":
        raise GateRejected(f"the gate blocked the release; the verdict is an artifact of {run.url}")
    if run.state_type != "COMPLETED":
        raise StackError(f"the training run ended as {run.state_name}: {run.message}; its log: {run.url}")
    champion = ReleaseRegistry(settings).champion()
    assert champion is not None
    from tastemaker.evaluation.report import EvaluationReport
    from tastemaker.promotion.manifest import EVIDENCE_DIR

    release = ReleaseRegistry(settings).get(champion.release)
    console.print(EvaluationReport.from_json((release.path / EVIDENCE_DIR / "evaluation.json").read_bytes()).table())
    console.print(release.verdict.table())
    return run


def _show_moment(moment: Moment) -> None:
    console.print(render_list(moment.before, f"The list of customer {moment.user}"))
    console.print(
        Panel(
            f"Customer {moment.user} now does: [bold]{', '.join(moment.events)}[/] on [bold]{moment.clicked.title}[/]\n"
            f"collector → Kafka → stream worker → online store → recommender: another list after "
            f"[bold green]{moment.milliseconds:.0f} ms[/]",
            title="The moment",
        )
    )
    before = [item["item_id"] for item in moment.before["items"]]
    console.print(render_list(moment.after, f"The list of customer {moment.user}, after", before))


def _show_end(settings: Settings, release: str, run: FlowRun | None, steps: Steps) -> None:
    console.print(addresses(settings))
    console.print(f"the drift report  [cyan]{settings.reports_url}/{release}/drift.html[/]")
    if run is not None:
        console.print(f"the training run  [cyan]{run.url}[/]")
    now = datetime.now(UTC) + timedelta(microseconds=settings.clock_offset_us)
    console.print(
        f"The platform's clock says {now:%Y-%m-%d %H:%M} (UTC): the end of the data. Try: [bold]tastemaker recommend"
        f" --user 17850[/], [bold]tastemaker releases show[/], [bold]tastemaker features list[/]"
    )
    console.print(f"[dim]{steps.elapsed:.0f} s in all[/]")
