"""``tastemaker features list``: the catalogue."""

import json
from difflib import get_close_matches
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tastemaker.cli.console import console, current_settings
from tastemaker.errors import DataError

if TYPE_CHECKING:
    from tastemaker.features.repository import FeatureRow

__all__ = ["list_command"]


def list_command(
    view: Annotated[str | None, typer.Option(help="Only this view.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", "-s", help="Only features whose name or description has this text.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one array.")] = False,
) -> None:
    """List every feature by view: its name, how it is computed and over which window, its description; and its owner.

    Next: `tastemaker features explain --feature NAME --user ID` for one value and the events behind it.
    """
    from tastemaker.features.repository import list_features

    rows = list_features(current_settings())
    known = list(dict.fromkeys(row.view for row in rows))
    if view is not None and view not in known:
        near = get_close_matches(view, known, n=1)
        perhaps = f"is it {near[0]}? " if near else ""
        raise DataError(f"no view is called {view!r}; {perhaps}there are {', '.join(known)}")
    text = (search or "").lower()
    rows = [row for row in rows if view in {None, row.view} and text in f"{row.name} {row.description}".lower()]
    if as_json:
        console.print_json(json.dumps([row._asdict() for row in rows]))
        return
    for name, members in groupby(rows, key=lambda row: row.view):
        console.print(_section(name, list(members)))
    views = len({row.view for row in rows})
    console.print(f"{len(rows)} features in {views} view{'' if views == 1 else 's'}", highlight=False)


def _section(view: str, rows: list["FeatureRow"]) -> Group:
    of = " × ".join(rows[0].entities) or "the request"
    head = Text.assemble((view, "bold cyan"), f"  of {of}", (f"  owner {rows[0].owner or 'nobody'}", "dim"))
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False, expand=False)
    table.add_column(min_width=32, overflow="fold")
    table.add_column(max_width=34, style="dim")
    table.add_column()
    for row in rows:
        table.add_row(f"  {row.name}", Text(_computed(row)), Text(row.description))
    return Group(head, table, Text())


def _computed(row: "FeatureRow") -> str:
    if not row.function:
        return "column"
    if row.function.startswith("from "):
        return "derived while it is read"
    over = "" if row.window in {"", "newest row"} else f", {row.window}"
    return row.function + over
