"""``tastemaker why``: why this item, why not that one, and is the list the same when it is made again."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tastemaker.cli.console import console, current_settings
from tastemaker.errors import TastemakerError

if TYPE_CHECKING:
    from tastemaker.lake.tables import Lake
    from tastemaker.serving.contract import ServedList
    from tastemaker.serving.recipe import Recipe
    from tastemaker.serving.replay.model import ReplayModel
    from tastemaker.serving.replay.why_not import WhyNot
    from tastemaker.settings import Settings

__all__ = ["why"]


def why(
    request: Annotated[str, typer.Option(help="The request_id of an answer.")],
    item: Annotated[str | None, typer.Option(help="An item: why it is in the list, or why not.")] = None,
    release: Annotated[
        str | None, typer.Option(help="Replay with this release instead, an id or a directory, to see what it changes.")
    ] = None,
    top: Annotated[int, typer.Option("--top", "-n", min=0, help="So many contributions of each item.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="For machines; has all contributions.")] = False,
) -> None:
    """Say why a logged list is as it is, and make it again from the log. Exits 1 if that gives another list.

    For each item: place, sources, reason, score, what counted most, and what each rule did to its place. What a feature
    counts is the score less the score with that feature at the median of the candidates, one feature at a time; these
    do not sum to the score.

    With --item: whether it was a candidate, of which sources, its rank and score beside the last item that is shown,
    and which rule or filter took it out; or what would have been needed. Lists are logged as
    TASTEMAKER_SERVE_LOG_RATE says.

    Next: `tastemaker features explain` with the user and the item shows the events behind a feature.
    """
    from tastemaker.cli.why_view import show, why_fields
    from tastemaker.lake.tables import Lake
    from tastemaker.serving.replay.compare import Replayed, replay
    from tastemaker.serving.replay.finding import find_list, items_then
    from tastemaker.serving.replay.why import why_these
    from tastemaker.serving.rerank.rule_log import RuleLog, rules_path

    settings = current_settings()
    lake = Lake(settings.lake_dir)
    served = find_list(lake, request, settings.serve_log_rate)
    model, problem = _model(settings, served.release)
    other = _directory_or_id(settings, release) if release else model
    replayed = (
        Replayed(served.release, why_not=f"release {served.release} is not there: {problem}")
        if other is None
        else replay(served, other, RuleLog(rules_path(settings.home)).at)
    )
    recipe = _recipe(settings, served.request.surface)
    shown = why_these(served, model, served.items if item is None else ())
    found = None if item is None else _why_not(lake, served, item, recipe, model)
    asked = [*served.items, *([] if item is None else [item])]
    titles = {one: then.item.title for one, then in items_then(lake, asked, served.served_at).items() if then.item}
    if as_json:
        console.print_json(json.dumps(why_fields(served, shown, found, replayed, titles)))
    else:
        show(console, served, shown, found, replayed, titles, top=top)
    if replayed.differences:
        raise typer.Exit(1)


def _why_not(
    lake: "Lake", served: "ServedList", item: str, recipe: "Recipe | None", model: "ReplayModel | None"
) -> "WhyNot":
    from tastemaker.serving.replay.finding import bought_before, items_then
    from tastemaker.serving.replay.why_not import why_not

    then = items_then(lake, [item], served.served_at)[item]
    user = served.request.user
    asked = user and served.request.filters.bought is not None
    bought = bought_before(lake, user, item, served.served_at) if user and asked else False
    return why_not(served, item, then, recipe, model, bought=bought)


def _model(settings: "Settings", release: str) -> "tuple[ReplayModel | None, str]":
    """The release that served a list; or why it cannot be had."""
    try:
        return _directory_or_id(settings, release), ""
    except TastemakerError as error:
        return None, str(error)


def _directory_or_id(settings: "Settings", release: str) -> "ReplayModel":
    from tastemaker.promotion.releases import ReleaseRegistry
    from tastemaker.serving.replay.model import load_replay_model

    directory = Path(release)
    if directory.is_dir() and directory.parent != Path():
        return load_replay_model(directory, directory.name)
    return load_replay_model(ReleaseRegistry(settings).get(release).path, release)


def _recipe(settings: "Settings", surface: str) -> "Recipe | None":
    from tastemaker.serving.recipes import load_recipes

    return load_recipes(Path(settings.surfaces_dir) if settings.surfaces_dir else None).get(surface)
