"""``tastemaker evaluate``: models on any tables, by one protocol, with intervals."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tastemaker.cli.console import console, errors
from tastemaker.cli.steps import Steps
from tastemaker.errors import DataError

if TYPE_CHECKING:
    from tastemaker.evaluation.benchmark.isolation import Failure, Outcome

__all__ = ["evaluate"]


def evaluate(
    train: Annotated[Path, typer.Option(help="Interactions to learn from: Parquet or CSV with user_id and item_id.")],
    test: Annotated[Path, typer.Option(help="Interactions to be judged by, with the same columns.")],
    out: Annotated[Path, typer.Option(help="Where to write the report (JSON).")],
    history: Annotated[
        Path | None,
        typer.Option(help="What is known of each test user when asked; left out: their rows in train."),
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(help="item_id and any of title, category, price, created_at, vector."),
    ] = None,
    k: Annotated[str, typer.Option("--k", "-k", help="List lengths, separated by commas.")] = "10,20",
    models: Annotated[
        str, typer.Option(help="Separated by commas; the first is compared with the others.")
    ] = "tastemaker,two-tower,ease,ials,item-knn,popularity",
    exclude_seen: Annotated[
        bool | None,
        typer.Option(
            "--exclude-seen/--include-seen",
            show_default="by the data",
            help="Whether lists leave out the items of the user's history; by the data: unless over 5 % of the train "
            "rows repeat a pair of user and item.",
        ),
    ] = None,
    budget_minutes: Annotated[
        float, typer.Option(help="Minutes that each model may take to tune, train and rank.")
    ] = 30.0,
    hyperparameters: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="MODEL.NAME=VALUE",
            help="A hyperparameter, such as ease.regularisation=200 or tastemaker.ndcg_for_coverage=0.02; repeatable.",
        ),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune/--defaults",
            help="Whether models other than tastemaker, which always does, search for their hyperparameters on a "
            "validation part of train, within the budget.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 1,
    html: Annotated[Path | None, typer.Option(help="Also write a page with plots.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run models again that an earlier run finished.")] = False,
) -> None:
    """Compare models on your tables: learn from one, be judged by the other.

    Columns: user_id, item_id (integers or strings); optional timestamp (numbers or times), event_type, weight. All
    items of the train table are ranked for every test user. Each model runs in a process of its own. Finished models
    and trials are kept beside the report, so that a run that was stopped goes on where it was.
    """
    from tastemaker.evaluation.benchmark import run
    from tastemaker.evaluation.benchmark.child import Settings
    from tastemaker.evaluation.benchmark.table import fact_lines, report_table
    from tastemaker.evaluation.benchmark.task import build

    names = [name.strip() for name in models.split(",") if name.strip()]
    settings = Settings(seed, _cutoffs(k), budget_minutes * 60, _hyperparameters(hyperparameters or []), tune)
    run.check(names, settings, out)
    if html is not None:
        _writable(html)
    steps = Steps(console)
    with steps.step("Reading the tables") as step:
        task = build(train, test, history, items, exclude_seen=exclude_seen)
        step.done(f"{task.history.n_users:,} test users, {task.train.n_items:,} items")
    for line in fact_lines(task.facts):
        console.print(f"  {line}", style="dim", highlight=False)

    told = _Told(budget_minutes * 60)
    with steps.step(f"Running {len(names)} models") as step:
        try:
            report = run.evaluate_models(
                task,
                run.Inputs(train, test, history, items),
                names,
                settings,
                out,
                created_at=datetime.now(UTC).isoformat(timespec="seconds"),
                fresh=fresh,
                started=step.progress,
                progress=step.progress,
                ended=told.ended,
            )
        except KeyboardInterrupt:
            errors.print(f"stopped; the same command goes on after the {told.finished} models that are finished")
            raise
        step.done(f"{len(report.models)} have figures")
    out.write_bytes(report.to_json())
    if html is not None:
        from tastemaker.evaluation.benchmark.page import report_page

        html.write_text(report_page(report), encoding="utf-8")
    for cutoff in report.cutoffs if report.models else ():
        console.print(report_table(report, cutoff, console.width))
    console.print(f"report: {out}" + (f", page: {html}" if html else ""), highlight=False, soft_wrap=True)
    if report.failed:
        raise DataError(f"no figures for {', '.join(report.failed)}; the report has the others")


def _hyperparameters(given: list[str]) -> dict[str, dict[str, Any]]:
    """``MODEL.NAME=VALUE`` each; a value is JSON where it can be read as such, else text."""
    found: dict[str, dict[str, Any]] = {}
    for one in given:
        name, equals, text = one.partition("=")
        model, dot, parameter = name.rpartition(".")
        if not (equals and dot and model and parameter):
            raise DataError(f"--set: {one!r} is not MODEL.NAME=VALUE, such as ease.regularisation=200")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        found.setdefault(model, {})[parameter] = tuple(value) if isinstance(value, list) else value
    return found


class _Told:
    """Says of each model how it ended.

    Args:
        budget_s: seconds that each may take.
    """

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self.finished = 0

    def ended(self, name: str, outcome: "Outcome | Failure", kept: bool) -> None:
        """Print a line."""
        from tastemaker.evaluation.benchmark.isolation import Failure
        from tastemaker.evaluation.benchmark.table import duration

        if isinstance(outcome, Failure):
            errors.print(f"  [bold red]✗[/] {name}: ", end="")
            errors.print(f"{outcome.error} (what it printed: {outcome.log})", highlight=False, markup=False)
            return
        self.finished += 1
        trained_s, scored_s = outcome.measured["training_minutes"] * 60, outcome.measured["scoring_seconds"]
        text = f"trained {duration(trained_s)}, ranked {duration(scored_s)}"
        text += f", {outcome.measured['peak_memory_mib']:,.0f} MiB"
        if trained_s > self._budget_s:
            text += f" [yellow](over its budget of {duration(self._budget_s)})[/]"
        if kept:
            text += " by an earlier run with the same inputs (--fresh runs it again)"
        console.print(f"  [green]✓[/] {name}: {text}", highlight=False)


def _cutoffs(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise DataError(f"--k {text!r}: give whole numbers separated by commas, such as 10,20") from None


def _writable(path: Path) -> None:
    if path.is_dir() or not path.parent.is_dir():
        raise DataError(f"{path}: cannot be written; give a file in a directory that exists")
