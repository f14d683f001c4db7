"""``tastemaker train`` and ``tastemaker releases``: new models, their evidence, and which one is in production."""

from typing import Annotated, Any

import typer
from rich.table import Table

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.steps import Step, Steps
from tastemaker.stack.flow_runs import FlowRun, FlowRuns

__all__ = ["TRAIN_DEPLOYMENT", "follow_run", "releases", "train"]

TRAIN_DEPLOYMENT = "train/default"

releases = typer.Typer(no_args_is_help=True, help="Releases, the evidence for each, and which one is in production.")

ReleaseId = Annotated[str | None, typer.Argument(help="A release's id; the champion when left out.")]


def follow_run(runs: FlowRuns, run_id: str, step: Step) -> FlowRun:
    """Follow a flow run to its end and say which task it is at."""
    run = None
    for run in runs.follow(run_id):
        running = [name for name, state in run.tasks.items() if state == "Running"]
        done = sum(state in {"Completed", "Cached"} for state in run.tasks.values())
        step.progress(f"{run.state_name}; {done} tasks done{f'; {running[-1]}' if running else ''}")
    assert run is not None
    return run


def train(
    cut: Annotated[
        str | None,
        typer.Option(help="Learn from what happened before this day (UTC, 2011-11-12); by default 28 days ago."),
    ] = None,
    policy: Annotated[
        str, typer.Option(help="Gate policy: a file name in monitoring/gates/ without .yaml.")
    ] = "default",
    seed: Annotated[int, typer.Option(help="Of all that is random in training.")] = 1,
    promote: Annotated[bool, typer.Option(help="Make it the champion if the gate passes.")] = True,
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Start the towers from the champion's: a fraction of the time.")
    ] = False,
    tuning_minutes: Annotated[
        float, typer.Option(min=0, help="Search for better values of the towers for so long; 0 searches nothing.")
    ] = 0.0,
) -> None:
    """Run the training flow on the running stack and follow it: train, evaluate, judge, register, build, promote.

    Exits 1 when the gate blocks the release, 2 when the run fails. Next: `tastemaker releases show`.
    """
    settings = current_settings()
    runs = FlowRuns(settings.prefect_url)
    parameters: dict[str, Any] = {"policy": policy, "seed": seed, "promote": promote, "warm_start": warm_start}
    if tuning_minutes:
        parameters["parameters"] = {"towers": {"tuning_minutes": tuning_minutes}}
    with Steps(console).step("Training") as step:
        run_id = runs.start(TRAIN_DEPLOYMENT, parameters | ({"cut": cut} if cut else {}))
        run = follow_run(runs, run_id, step)
        step.done(f"{run.state_name}: {run.message}")
    console.print(f"The run, with its tables and reports: {run.url}")
    if run.state_type != "COMPLETED":
        raise typer.Exit(2)
    if run.state_name == "Blocked":
        raise typer.Exit(1)


@releases.command("list")
def list_() -> None:
    """List all registered releases, newest first; the champion is marked."""
    from tastemaker.promotion.releases import ReleaseRegistry

    registry = ReleaseRegistry(current_settings())
    champion = registry.champion()
    table = Table("", "release", "created", "learned from", "NDCG", "verdict")
    for release in registry.list():
        manifest = release.manifest
        table.add_row(
            "★" if champion and champion.release == release.id else "",
            release.id,
            f"{manifest.created_at:%Y-%m-%d %H:%M}",
            f"{manifest.lineage.data_from:%Y-%m-%d} to {manifest.lineage.data_to:%Y-%m-%d}",
            f"{manifest.metrics['ndcg']:.3f}" if "ndcg" in manifest.metrics else "–",
            manifest.verdict.decision,
        )
    console.print(table if table.row_count else "No release yet. Train one with: tastemaker train")


@releases.command()
def show(release: ReleaseId = None) -> None:
    """Show a release: metrics beside the baselines, the gate's verdict, how it was trained, and where it came from.

    Next: `tastemaker releases promote`, if it passed and is not the champion.
    """
    from tastemaker.errors import ServingError
    from tastemaker.evaluation.report import EvaluationReport
    from tastemaker.promotion.manifest import EVIDENCE_DIR
    from tastemaker.release.files import ModelCard

    found = _find(release)
    report = EvaluationReport.from_json((found.path / EVIDENCE_DIR / "evaluation.json").read_bytes())
    console.print(f"[bold]{found.id}[/]  {found.tag}")
    console.print(report.table())
    console.print(found.verdict.table())
    try:
        for line in ModelCard.read(found.path).towers.lines():
            console.print(line, highlight=False)
    except ServingError as error:  # of another version of the platform
        console.print(f"how it was trained cannot be told: {error}", highlight=False)
    lineage = found.lineage
    console.print(
        f"learned from {lineage.data_from:%Y-%m-%d} to {lineage.data_to:%Y-%m-%d}, lake at {lineage.lake_versions}\n"
        f"code {lineage.code_commit} {lineage.code_note or '(unchanged)'}\n"
        f"features {lineage.plan_hash}, seed {lineage.seed}",
        highlight=False,
    )


@releases.command()
def build(
    release: Annotated[str | None, typer.Argument(help="The release's id; left out: the champion.")] = None,
    service: Annotated[
        list[str] | None,
        typer.Option(help="recommender, retrieval or ranking; may be repeated. Left out: all three."),
    ] = None,
) -> None:
    """Build Bentos of a release without promoting it: what is served, or deployed elsewhere, by itself.

    The content hash is the same for every build of the same code and release.

    Next: `bentoml serve TAG`, or an image: `docker build -f DIRECTORY/env/docker/Dockerfile DIRECTORY`.
    """
    from tastemaker.promotion.bento import SERVICES, bento_path, build_bento, content_hash

    settings = current_settings()
    found = _find(release)
    steps = Steps(console)
    for name in service or SERVICES:
        with steps.step(f"Building the Bento of the {name}") as step:
            tag = build_bento(settings, found.id, name)
            step.done(tag)
        path = bento_path(settings, tag)
        console.print(f"  content {content_hash(path)}\n  {path}", highlight=False, soft_wrap=True)


@releases.command()
def promote(release: Annotated[str, typer.Argument(help="The release's id.")]) -> None:
    """Build the Bento of a release that passed the gate and make it champion; the recommender switches over."""
    from tastemaker.promotion.bento import build_bento
    from tastemaker.promotion.releases import ReleaseRegistry

    settings = current_settings()
    registry = ReleaseRegistry(settings)
    registry.require_promotable(release)
    with Steps(console).step("Building the Bento") as step:
        tag = build_bento(settings, release)
        step.done(tag)
    champion = registry.promote(release, tag)
    console.print(f"champion: {champion.release}")


@releases.command()
def rollback() -> None:
    """Make the previous champion the champion again; the recommender switches over."""
    from tastemaker.promotion.releases import ReleaseRegistry

    console.print(f"champion: {ReleaseRegistry(current_settings()).rollback().release}")


def _find(release: str | None) -> Any:
    from tastemaker.errors import DataError
    from tastemaker.promotion.releases import ReleaseRegistry

    registry = ReleaseRegistry(current_settings())
    if release is None:
        champion = registry.champion()
        if champion is None:
            raise DataError("no release is in production yet; train one with: tastemaker train")
        release = champion.release
    return registry.get(release)
