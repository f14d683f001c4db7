"""``tastemaker features explain``: a value, its definition, and the events behind it."""

import dataclasses
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tastemaker import names
from tastemaker.cli.console import console, current_settings
from tastemaker.cli.durations import parse_moment
from tastemaker.clock import to_us
from tastemaker.errors import DataError, TastemakerError

if TYPE_CHECKING:
    from tastemaker.features.audit.explain import Explanation
    from tastemaker.features.plan import FeaturePlan
    from tastemaker.settings import Settings

__all__ = ["explain_command"]


def explain_command(
    feature: Annotated[str, typer.Option(help="Its name, as `list` shows it.")],
    user: Annotated[str | None, typer.Option(help="A customer's id.")] = None,
    item: Annotated[str | None, typer.Option(help="An item's id.")] = None,
    session: Annotated[str | None, typer.Option(help="A visit's id.")] = None,
    category: Annotated[str | None, typer.Option(help="A category path, such as kitchen/mugs.")] = None,
    request: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A field of the request, for what is derived from it."),
    ] = None,
    at: Annotated[str | None, typer.Option(help="As of when: a time in UTC, or how long ago; now when absent.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many events to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show what a feature means, its value as the lake gives it, and the events that count or do not, and why.

    Without --at also what the online store says now. The two differ for a second after an event.
    """
    from tastemaker.features.audit.explain import explain_feature
    from tastemaker.features.plan import FeaturePlan
    from tastemaker.lake.tables import Lake

    settings = current_settings()
    plan = FeaturePlan.load(settings.plan_path)
    if not (settings.lake_dir / names.TABLE_EVENTS).is_dir():
        raise DataError(f"there is no lake at {settings.lake_dir}; bring data in with `tastemaker data import`")
    given = {names.USER_ID: user, names.ITEM_ID: item, names.SESSION_ID: session, names.CATEGORY: category}
    ids = {column: value for column, value in given.items() if value}
    now = settings.clock.now()
    moment = parse_moment(at, now) if at else now
    lake = Lake(settings.lake_dir)
    found = explain_feature(lake, plan, feature, ids | _fields_of(request or []), to_us(moment), limit=limit)
    online = _online(settings, plan, found, to_us(moment)) if at is None else None
    if as_json:
        fields = dataclasses.asdict(found) | ({} if at else {"online": online})
        console.print_json(json.dumps(fields, default=_plain, allow_nan=True))
        return
    _show(found, online, with_online=at is None)
    _say_if_unknown(lake, found)


def _fields_of(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise DataError(f"--request {pair}: write NAME=VALUE, such as device=mobile")
    return dict(pair.split("=", 1) for pair in pairs)  # type: ignore[misc]


def _online(settings: "Settings", plan: "FeaturePlan", found: "Explanation", now_us: int) -> Any:
    """What the online store says now; a text where it cannot be asked."""
    from tastemaker.features.reading.reader import FeatureReader

    if found.view not in plan.by_name:
        return "derived while it is read"
    try:
        reader = FeatureReader(settings.online_location, plan)
    except TastemakerError as error:
        return f"not readable: {error}"
    try:
        key = tuple(found.ids.values())
        return reader.row(found.view, key if len(key) > 1 else key[0], now_us, [found.feature])[found.feature]
    finally:
        reader.close()


def _show(found: "Explanation", online: Any, *, with_online: bool) -> None:
    of = " × ".join(f"{column.removesuffix('_id')} {value}" for column, value in found.ids.items())
    console.print(Text.assemble((found.feature, "bold cyan"), f" of {of}: ", (value_text(found.value), "bold")))
    if found.description:
        console.print(found.description, highlight=False, markup=False)
    facts = Table.grid(padding=(0, 2))
    facts.add_row("declared", Text(f"{found.definition}; view {found.view}"))
    facts.add_row("as of", f"{found.at:%Y-%m-%d %H:%M:%S.%f} UTC" + _since(found))
    if with_online:
        same = isinstance(online, str) or _same(online, found.value)
        facts.add_row("online", Text(f"{value_text(online)}{'' if same else ', which differs from the lake'}"))
    console.print(facts)
    _show_evidence(found)
    for part in found.parts:
        console.print()
        _show(part, None, with_online=False)


def _since(found: "Explanation") -> str:
    return f", of events from {found.begin:%Y-%m-%d %H:%M:%S} on" if found.begin else ""


def _show_evidence(found: "Explanation") -> None:
    if found.parts:
        console.print(f"It is computed from {', '.join(part.feature for part in found.parts)}:", highlight=False)
        return
    left_out = ", ".join(f"{count:,} ({why})" for why, count in found.left_out.items())
    counting = "one counts" if found.events == 1 else f"{found.events:,} count" if found.events else "none counts"
    line = f"evidence: {counting}{f'; left out: {left_out}' if left_out else ''}"
    console.print(line, highlight=False, markup=False)
    if not found.evidence:
        return
    columns = [column for column in found.evidence[0].columns if any(row.columns[column] for row in found.evidence)]
    columns = [column for column in columns if column not in found.ids]
    reasons = any(row.left_out for row in found.evidence)
    table = Table("at (UTC)", *columns, *(["does not count"] if reasons else []))
    for column in table.columns:
        column.overflow = "fold"  # so that an id can be copied
    table.columns[0].no_wrap = True
    for row in found.evidence:
        said = [Text(value_text(row.columns[column])) for column in columns]
        style = "dim" if row.left_out else None
        reason = [Text(row.left_out)] if reasons else []
        table.add_row(f"{row.at:%Y-%m-%d %H:%M:%S}", *said, *reason, style=style)
    console.print(table)
    shown = sum(not row.left_out for row in found.evidence)
    if shown < found.events:
        console.print(f"… and {found.events - shown:,} more that count: --limit shows them.", highlight=False)


def _say_if_unknown(lake: Any, found: "Explanation") -> None:
    """Where there is nothing at all: whether the ids are known, and which known ones are close."""
    from tastemaker.features.audit.near_ids import near_ids

    parts = [found, *found.parts]
    if any(part.events or part.left_out for part in parts):
        return
    for column, value in found.ids.items():
        known, near = near_ids(lake, column, value)
        if not known:
            what = column.removesuffix("_id")
            perhaps = f"; close are {', '.join(near)}" if near else ""
            console.print(f"No event in the lake has {what} {value}{perhaps}.", highlight=False, markup=False)


def value_text(value: Any) -> str:
    """A value as it is shown.

    >>> value_text(None), value_text(2.5), value_text(["a", "b"]), value_text([])
    ('-', '2.5', 'a, b', 'empty')
    """
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, list | tuple):
        shown = ", ".join(value_text(each) for each in value[:8])
        return (shown + (f", … ({len(value)} in all)" if len(value) > 8 else "")) or "empty"
    return str(value) or "empty"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
