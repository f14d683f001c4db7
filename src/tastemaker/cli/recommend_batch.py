"""``tastemaker recommend batch``: lists for all users, into Parquet."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Task as Running
from rich.text import Text

from tastemaker.cli.console import console, current_settings, errors
from tastemaker.errors import DataError
from tastemaker.settings import Settings

if TYPE_CHECKING:
    from datetime import datetime

    from tastemaker.batch.run import MakeList
    from tastemaker.serving.records import ListRecord

__all__ = ["batch"]


class _Rate(ProgressColumn):
    """Lists a second."""

    def render(self, task: Running) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} lists/s", style="cyan")


def batch(
    out: Annotated[Path, typer.Option(help="A directory for part files, or one file where the name ends in .parquet.")],
    surface: Annotated[str, typer.Option(help="What the lists are for: email, home, buy_again, ...")] = "email",
    k: Annotated[int, typer.Option("--k", "-k", min=1, max=100, help="How many items a list has.")] = 10,
    users: Annotated[
        Path | None, typer.Option(help="Parquet file with a column user_id; left out: all users of the lake.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many users alone, by their ids.")] = None,
    release: Annotated[str | None, typer.Option(help="Id of a release; left out: the champion.")] = None,
    part_users: Annotated[
        int, typer.Option(min=1, max=100_000, help="Users of one part file: what a killed run loses at most.")
    ] = 5_000,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    log_lists: Annotated[
        bool, typer.Option("--log", help="Also write the lists to the served-list log, as if they had been served.")
    ] = False,
) -> None:
    """Make a list for every user and write them as Parquet: for mails, or for a shop that reads lists from a table.

    For example `tastemaker recommend batch --surface email --out lists`. Columns: user_id, rank, item_id, score,
    source, reason, request_id, release, tier, served_at. All lists are of one moment, one release and one version of
    the rules, which manifest.json names.

    Next: send `impression` events with the request_id for the lists that a shopper has really seen.
    """
    from tastemaker.batch.opening import open_for_batch
    from tastemaker.batch.run import Batch, run_batch
    from tastemaker.lake.tables import Lake
    from tastemaker.promotion.releases import ReleaseRegistry
    from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse
    from tastemaker.serving.recipes import load_recipes
    from tastemaker.serving.rerank.rule_log import rules_path
    from tastemaker.serving.rerank.rule_watch import RuleWatch

    settings = current_settings()
    registry = ReleaseRegistry(settings)
    champion = registry.champion() if release is None else None
    if release is None and champion is None:
        raise DataError("no release is in production yet; train one with: tastemaker train, or name one by --release")
    found = registry.get(release or (champion.release if champion else ""))
    recipes = load_recipes(Path(settings.surfaces_dir) if settings.surfaces_dir else None)
    recipe = recipes.get(surface)
    if recipe is None:
        raise DataError(f"there is no surface {surface!r}; use one of: {', '.join(recipes)}")
    rules = RuleWatch(rules_path(settings.home))
    wanted = Batch(out, recipe, k, found.id, rules.rules.version, users, limit, part_users, resume)

    with (
        _log(settings, log_lists) as log,
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=errors,
            transient=True,
        ) as bar,
    ):
        task = bar.add_task("Opening the release", total=None)

        def open_lists(as_of: "datetime") -> "MakeList":
            recommender = open_for_batch(settings, found.path, recipe, rules, as_of)

            def make(request: RecommendationRequest) -> RecommendationResponse:
                response, record = recommender.answer(request)
                log(record)
                return response

            return make

        def progress(done: int, total: int) -> None:
            bar.update(task, description="Making lists", completed=done, total=total)

        try:
            result = run_batch(wanted, Lake(settings.lake_dir), settings.clock.now(), open_lists, progress)
        except KeyboardInterrupt:
            errors.print("stopped; the same command with --resume goes on after the last finished part")
            raise
    manifest = result.manifest
    tiers = ", ".join(f"{count:,} {tier}" for tier, count in (manifest.finished or {}).items())
    kept = f", {result.kept:,} of them by an earlier run" if result.kept else ""
    console.print(
        f"{manifest.users:,} lists{f' ({tiers})' if tiers else ''}{kept}: {out}", highlight=False, soft_wrap=True
    )


def _log(settings: Settings, wanted: bool) -> "AbstractContextManager[Callable[[ListRecord], None]]":
    """What takes a list for the log; nothing does where none is wanted."""
    if not wanted:
        return nullcontext(lambda record: None)
    from tastemaker.batch.served import logging_to
    from tastemaker.serving.app import open_served_log
    from tastemaker.serving.metrics import ServingMetrics

    return logging_to(open_served_log(settings, ServingMetrics()))
