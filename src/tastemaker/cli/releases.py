"""``tastemaker releases``: what was trained, the evidence for each, and which one is in production."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.steps import Steps

if TYPE_CHECKING:
    from tastemaker.promotion.releases import Release

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Releases: what each was made of, the evidence for it, and which one is in production. A release never"
    " changes; which one serves does.",
)

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
ReleaseId = Annotated[str | None, typer.Argument(metavar="[RELEASE]", help="An id; the champion when left out.")]


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List all registered releases, newest first; ★ is in production, ◐ on trial, ↩ what a rollback goes back to.

    Next: `tastemaker releases show ID`, or `tastemaker releases diff ID` to see what it changes.
    """
    from tastemaker.cli.releases_view import list_fields, list_table
    from tastemaker.promotion.releases import ReleaseRegistry
    from tastemaker.promotion.rollout.running import running_rollout

    settings = current_settings()
    registry = ReleaseRegistry(settings)
    found, champion, trial = registry.list(), registry.champion(), running_rollout(settings.rollouts_dir)
    if as_json:
        console.print_json(json.dumps(list_fields(found, champion, trial)))
        return
    console.print(list_table(found, champion, trial) if found else "No release yet. Train one with: tastemaker train")


@app.command("show")
def show_command(
    release: ReleaseId = None,
    request: Annotated[
        str | None, typer.Option(help="The release that made a served list, by the request_id of its answer.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a release: metrics beside the baselines, the gate's verdict, how it was trained, and where it came from.

    `--request R` begins at a list that a shopper got, and leads back to the data versions, the code, the parameters and
    the run behind it; also when the release was retired since.

    Next: `tastemaker rollout start ID`, if it passed and is not the champion.
    """
    from tastemaker.cli.releases_view import print_lineage, print_release, release_fields
    from tastemaker.errors import DataError
    from tastemaker.lake.tables import Lake
    from tastemaker.promotion.origin import origin_of
    from tastemaker.serving.replay.finding import find_list

    settings = current_settings()
    if request is None:
        found = _find(release)
        if as_json:
            console.print_json(json.dumps(release_fields(found.manifest)))
        else:
            print_release(console, found)
        return
    if release is not None:
        raise DataError("give a release or --request, not both")
    served = find_list(Lake(settings.lake_dir), request, settings.serve_log_rate)
    origin = origin_of(settings, served)
    if as_json:
        told = {"request_id": request, "served_at": served.served_at.isoformat(), "tier": served.tier}
        console.print_json(json.dumps(told | release_fields(origin.manifest) | {"retired": origin.retired}))
        return
    console.print(
        f"request {request}, {served.served_at:%Y-%m-%d %H:%M:%S}, surface {served.request.surface},"
        f" tier {served.tier}: {', '.join(served.items[:5])}{' …' if len(served.items) > 5 else ''}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    print_lineage(console, origin.manifest)
    if origin.retired:
        console.print("The release was retired: its manifest is kept, its files are gone.")


@app.command("diff")
def diff_command(
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="An id.")],
    other: Annotated[
        str | None, typer.Argument(metavar="[WITH]", help="What it is compared with; the champion when left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two releases: parameters, data, code, features, metrics and files.

    Next: `tastemaker rollout start ID` to try it on shoppers.
    """
    from tastemaker.cli.releases_view import diff_fields, print_diff

    before, after = _find(other), _find(release)
    told = diff_fields(before.manifest, after.manifest)
    if as_json:
        console.print_json(json.dumps(told))
    else:
        print_diff(console, before.id, after.id, told)


@app.command("build")
def build_command(
    release: ReleaseId = None,
    service: Annotated[
        list[str] | None,
        typer.Option(help="recommender, retrieval or ranking; may be repeated. Left out: all three."),
    ] = None,
) -> None:
    """Build Bentos of a release without promoting it: what is served, or deployed elsewhere, by itself.

    The content hash is the same for every build of the same code and release.

    Next: `bentoml serve TAG`, or `bentoml containerize TAG` for an image with the release in it.
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


@app.command("promote")
def promote_command(release: Annotated[str, typer.Argument(metavar="RELEASE", help="Its id.")]) -> None:
    """Build the Bento of a release that passed the gate and make it champion at once, for all shoppers.

    The recommender goes over to it without a pause. Of two promotions at once one wins. To try it on some shoppers
    first: `tastemaker rollout start ID`.

    Next: `tastemaker releases rollback` goes back.
    """
    from tastemaker.promotion.bento import build_bento
    from tastemaker.promotion.releases import ReleaseRegistry
    from tastemaker.promotion.rollout.kserve_champion import serve_champion

    settings = current_settings()
    registry = ReleaseRegistry(settings)
    registry.require_promotable(release)
    with Steps(console).step("Building the Bento") as step:
        tag = build_bento(settings, release)
        step.done(tag)
    champion = registry.promote(release, tag)
    serve_champion(settings, patience_s=60.0)
    console.print(f"champion: {champion.release}", highlight=False)


@app.command("rollback")
def rollback_command() -> None:
    """Make the previous champion the champion again, at once; a rollout that runs ends by it.

    Next: `tastemaker releases list`.
    """
    from tastemaker.promotion.releases import ReleaseRegistry
    from tastemaker.promotion.rollout.kserve_champion import serve_champion

    champion = ReleaseRegistry(current_settings()).rollback()
    serve_champion(current_settings(), patience_s=60.0)
    console.print(f"champion: {champion.release}", highlight=False)


@app.command("retire")
def retire_command(
    release: Annotated[
        list[str] | None, typer.Argument(metavar="[RELEASE]...", help="Ids; left out: all that --keep leaves.")
    ] = None,
    keep: Annotated[int | None, typer.Option(min=0, help="Keep so many of the newest, besides those needed.")] = None,
    rollbacks: Annotated[int, typer.Option(min=1, max=10, help="Keep so many champions to go back to.")] = 3,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old releases and their Bentos from BentoML's stores; manifest, lineage and verdict stay.

    Never goes: the champion, the champions that a rollback goes back to, a release on trial. Lists that a retired
    release made can still be looked up, and not replayed.

    For example `tastemaker releases retire --keep 10`. Next: `tastemaker releases list`.
    """
    from tastemaker.errors import DataError
    from tastemaker.promotion.releases import ReleaseRegistry
    from tastemaker.promotion.retention import retire, to_retire

    settings = current_settings()
    registry = ReleaseRegistry(settings)
    if bool(release) == (keep is not None):
        raise DataError("name the releases that are to go, or say with --keep how many stay")
    going = release or [one.id for one in to_retire(settings, registry, keep=keep or 0, rollbacks=rollbacks)]
    if going and not yes and not as_json:
        console.print(f"These go for good: {', '.join(going)}", highlight=False)
        typer.confirm("Remove them?", abort=True)
    gone = [retire(settings, registry, one, rollbacks=rollbacks) for one in going]
    if as_json:
        told = [{"release": one.release, "bentos": one.bentos, "freed_bytes": one.freed} for one in gone]
        console.print_json(json.dumps(told))
        return
    for one in gone:
        with_bentos = f" with {', '.join(one.bentos)}" if one.bentos else ""
        console.print(f"retired {one.release}{with_bentos}: {one.freed / 1e6:.1f} MB", highlight=False)
    if not gone:
        console.print("Nothing to retire.")


def _find(release: str | None) -> "Release":
    from tastemaker.errors import DataError
    from tastemaker.promotion.releases import ReleaseRegistry

    registry = ReleaseRegistry(current_settings())
    if release is None:
        champion = registry.champion()
        if champion is None:
            raise DataError("no release is in production yet; train one with: tastemaker train")
        release = champion.release
    return registry.get(release)
