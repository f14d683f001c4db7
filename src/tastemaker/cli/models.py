"""``tastemaker train``: a new release, on the running stack."""

from typing import Annotated, Any

import typer

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.steps import Step, Steps
from tastemaker.stack.flow_runs import FlowRun, FlowRuns

__all__ = ["TRAIN_DEPLOYMENT", "follow_run", "train"]

TRAIN_DEPLOYMENT = "train/default"


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
    promote: Annotated[bool, typer.Option(help="Let it go live if the gate passes.")] = True,
    rollout: Annotated[
        str,
        typer.Option(help="How it takes over from a champion: a file name in monitoring/rollout/; empty: at once."),
    ] = "default",
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Start the towers from the champion's: a fraction of the time.")
    ] = False,
    tuning_minutes: Annotated[
        float, typer.Option(min=0, help="Search for better values of the towers for so long; 0 searches nothing.")
    ] = 0.0,
) -> None:
    """Run the training flow on the running stack and follow it: train, evaluate, judge, register, build, go live.

    The first release goes live at once; each one after it takes over step by step: `tastemaker rollout status`.

    Exits 1 when the gate blocks the release, 2 when the run fails. Next: `tastemaker releases show`.
    """
    settings = current_settings()
    runs = FlowRuns(settings.prefect_url)
    parameters: dict[str, Any] = {"policy": policy, "seed": seed, "promote": promote, "warm_start": warm_start}
    parameters["rollout"] = rollout
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
