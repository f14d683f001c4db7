"""``tastemaker features verify``: was what was served what the lake says?"""

import dataclasses
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tastemaker.cli.console import console, current_settings
from tastemaker.cli.durations import parse_moment
from tastemaker.cli.steps import Steps
from tastemaker.clock import from_us
from tastemaker.errors import DataError

if TYPE_CHECKING:
    from tastemaker.features.audit.served_values import Served
    from tastemaker.features.audit.verify import Verification
    from tastemaker.features.plan import FeaturePlan
    from tastemaker.settings import Settings

__all__ = ["verify_command"]

_SETTLED = timedelta(seconds=5)  # the stream worker brings everything into the lake within about a second


def verify_command(
    since: Annotated[str, typer.Option(help="How long ago, such as 1h, or a time in UTC: the first lists to look at.")],
    until: Annotated[str, typer.Option(help="Likewise: the last.")] = "5s",
    view: Annotated[list[str] | None, typer.Option(help="Only this view; may stand more than once.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="Look at so many lists at most, drawn at random.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Recompute from the lake what served lists read, as of the moment of each read. Exits 1 if any value differs.

    A difference is "late" where events explain it that came in after the read, "in flight" where they were on their way
    to the online store (and for up to how long), and of a batch view "late" where a row was not materialised yet. None
    of these is a mismatch. Lists are logged as TASTEMAKER_SERVE_LOG_RATE says.

    Next: `tastemaker features explain` with the user, the item and the time of a mismatch.
    """
    from tastemaker.features.audit.verify import verify
    from tastemaker.features.plan import FeaturePlan
    from tastemaker.lake.tables import Lake

    settings = current_settings()
    now = settings.clock.now()
    begin = parse_moment(since, now)
    end = min(parse_moment(until, now), now - _SETTLED)
    if begin >= end:
        raise DataError(
            f"--since {since} is {begin:%Y-%m-%d %H:%M:%S}, which is not before the end, {end:%Y-%m-%d %H:%M:%S}; the"
            f" last {_SETTLED.seconds} s are on their way to the lake"
        )
    if view:
        plan = FeaturePlan.load(settings.plan_path)
        for name in view:
            plan.view(name)
    if not (settings.lake_dir / "events").is_dir():
        raise DataError(f"there is no lake at {settings.lake_dir}; start the stack with `tastemaker up`")
    if as_json:
        found = verify(Lake(settings.lake_dir), _plans(settings), begin, end, sample=sample, views=view, seed=seed)
        console.print_json(json.dumps(_fields(found, begin, end), default=datetime.isoformat))
    else:
        with Steps(console).step("Recomputing what was served") as step:
            found = verify(Lake(settings.lake_dir), _plans(settings), begin, end, sample=sample, views=view, seed=seed)
            span = f"{begin:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S}"
            step.done(f"{found.compared:,} values of {found.lists:,} lists, {span}")
        _show(found)
    if found.mismatched:
        raise typer.Exit(1)


def _plans(settings: "Settings") -> Callable[[str], "FeaturePlan | None"]:
    """The declarations that a release was trained with; None of one that is not there any more."""
    from tastemaker.features.plan import FeaturePlan
    from tastemaker.promotion.releases import ReleaseRegistry
    from tastemaker.release.files import PLAN

    registry = ReleaseRegistry(settings)
    known: dict[str, FeaturePlan | None] = {}

    def plan_of(release: str) -> FeaturePlan | None:
        if release not in known:
            try:
                known[release] = FeaturePlan.load(registry.get(release).path / PLAN)
            except DataError:
                known[release] = None
        return known[release]

    return plan_of


def _show(found: "Verification") -> None:
    if not found.compared:
        why = "were logged" if not found.lists else "say what they read of these views"
        console.print(f"Nothing to compare: no lists {why} in this time. See TASTEMAKER_SERVE_LOG_RATE, and --since.")
    else:
        table = Table("view", "feature", "compared", "late", "in flight", "for up to", "mismatched")
        table.columns[1].no_wrap = True
        for column in table.columns[2:]:
            column.justify = "right"
        for tally in found.tallies:
            wrong = f"[bold red]{tally.mismatched:,}[/]" if tally.mismatched else "[green]0[/]"
            flight = f"{tally.longest_flight_us / 1e6:.2f} s" if tally.in_flight else "-"
            row = (f"{tally.compared:,}", f"{tally.late:,}", f"{tally.in_flight:,}", flight, wrong)
            table.add_row(tally.view, tally.feature, *row)
        console.print(table)
    if found.unknown_releases:
        console.print(f"{found.unknown_releases:,} lists are of releases that are not there any more; passed over.")
    if not found.mismatched:
        if found.compared:
            console.print("[bold green]✓[/] every value is what the lake says")
        return
    console.print(f"[bold red]✗[/] {found.mismatched:,} of {found.compared:,} values differ", highlight=False)
    table = Table("feature", "of", "read at", "served", "recomputed", "request")
    for one in found.examples:
        read_at = f"{from_us(one.at_us):%Y-%m-%d %H:%M:%S.%f}"
        values = _differing(one.served, one.expected)
        table.add_row(one.feature, " × ".join(one.ids), read_at, *values, one.request_id)
    console.print(table)


def _differing(served: "Served", expected: "Served") -> tuple[str, str]:
    """Both values for people; of lists, from where they part."""
    if isinstance(served, tuple) and isinstance(expected, tuple):
        same = next((i for i, pair in enumerate(zip(served, expected, strict=False)) if pair[0] != pair[1]), None)
        begin = min(len(served), len(expected)) if same is None else same
        shown = [", ".join(map(str, one[begin : begin + 3])) or "nothing" for one in (served, expected)]
        return f"#{begin + 1}: {shown[0]}", f"#{begin + 1}: {shown[1]}"
    return f"{served:.9g}", f"{expected:.9g}"


def _fields(found: "Verification", begin: datetime, end: datetime) -> dict[str, object]:
    return {
        "since": begin,
        "until": end,
        "lists": found.lists,
        "unknown_releases": found.unknown_releases,
        "compared": found.compared,
        "mismatched": found.mismatched,
        "features": [tally._asdict() for tally in found.tallies],
        "examples": [
            dataclasses.asdict(one) if dataclasses.is_dataclass(one) else one._asdict() for one in found.examples
        ],
    }
