"""How ``tastemaker why`` shows what it found: for people, and as fields for machines."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tastemaker.serving.contract import RuleEffect, ServedList
    from tastemaker.serving.replay.compare import Replayed
    from tastemaker.serving.replay.contributions import Contribution
    from tastemaker.serving.replay.why import WhyThis
    from tastemaker.serving.replay.why_not import WhyNot

__all__ = ["show", "why_fields"]

_MOST = 20  # differences that are shown


def show(
    console: Console,
    served: "ServedList",
    shown: "Sequence[WhyThis]",
    found: "WhyNot | None",
    replayed: "Replayed",
    titles: Mapping[str, str],
    *,
    top: int,
) -> None:
    """Print it.

    Args:
        console: to print on.
        served: the list.
        shown: its items; none where one item was asked for.
        found: about that item.
        replayed: what came of the replay.
        titles: of the items, as far as they are known.
        top: so many contributions of each item.
    """
    request = served.request
    whom = (
        f"user {request.user}" if request.user else f"session {request.session}" if request.session else "nobody known"
    )
    console.print(Text.assemble((f"Request {served.request_id}", "bold"), f" for {whom}"))
    facts = Table.grid(padding=(0, 2))
    facts.add_row("served", f"{served.served_at:%Y-%m-%d %H:%M:%S.%f} UTC, surface {request.surface}")
    facts.add_row("tier", escape(served.tier + (f": {served.tier_reason}" if served.tier_reason else "")))
    facts.add_row("made by", f"release {served.release}, rules {served.rules_version or 'had nothing to do'}")
    removed = ", ".join(f"{name} {count}" for name, count in served.rules.items())
    facts.add_row("candidates", f"{len(served.candidates)} ranked; taken out before: {removed or 'none'}")
    console.print(facts)
    if shown:
        console.print(_table(shown, titles, top))
    elif found is None:
        console.print("The list is empty.")
    if found is not None:
        _show_item(console, found, titles, top)
    _show_replay(console, replayed)


def _table(shown: "Sequence[WhyThis]", titles: Mapping[str, str], top: int) -> Table:
    table = Table("#", "item", "why", "score", "what counted most", "place by score, and by rules")
    for one in shown:
        sources = ", ".join(f"[bold]{name}[/]" if name == one.source else name for name in one.sources)
        reason = escape(one.reason) or "[dim]not logged[/]"
        table.add_row(
            str(one.place),
            Text.assemble(titles.get(one.item_id, ""), ("\n" if one.item_id in titles else "") + one.item_id),
            f"[cyan]{reason}[/]\n[dim]of[/] {sources or one.source}",
            f"{one.score:.4g}",
            "\n".join(_contribution(each) for each in one.contributions[:top]) or "[dim]not known[/]",
            _moves(one.ranked, one.effects),
        )
    return table


def _contribution(one: "Contribution") -> str:
    usual = f", others {_value(one.ordinary)}" if not math.isclose(one.value, one.ordinary, abs_tol=1e-12) else ""
    return f"{one.added:+.3g} {one.name} ({_value(one.value)}{usual})"


def _value(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:.4g}"


def _moves(ranked: int, effects: "Sequence[RuleEffect]") -> str:
    return "\n".join([f"{ranked}", *(f"{e.rule}: {e.before or 'out'} → {e.after or 'out'}" for e in effects)])


def _show_item(console: Console, found: "WhyNot", titles: Mapping[str, str], top: int) -> None:
    title = titles.get(found.item_id, "")
    console.print(Text.assemble((f"{title} {found.item_id}".strip(), "bold"), f": {found.answer}"))
    if found.candidate is not None:
        console.print(_table([found.candidate], titles, top))
    for source, words in found.needed.items():
        console.print(f"  to be named by [bold]{source}[/], it {words}", highlight=False)
    if found.as_of_now:
        console.print(f"  {found.as_of_now}", highlight=False)


def _show_replay(console: Console, replayed: "Replayed") -> None:
    if replayed.why_not:
        console.print(f"[bold yellow]–[/] The list cannot be made again: {escape(replayed.why_not)}", highlight=False)
        return
    with_release = f"made again with release {replayed.release_id}"
    if replayed.identical:
        exact = "all scores to the last bit" if replayed.exact else f"scores within {replayed.gap:.1g}, of rounding"
        console.print(f"[bold green]✓[/] {with_release}: identical, {exact}", highlight=False)
        return
    console.print(f"[bold red]✗[/] {with_release}: {len(replayed.differences):,} differences", highlight=False)
    table = Table("what", "place", "as logged", "as made now")
    for one in replayed.differences[:_MOST]:
        table.add_row(one.what, str(one.place or ""), Text(one.logged), Text(one.made))
    console.print(table)
    if len(replayed.differences) > _MOST:
        console.print(f"… and {len(replayed.differences) - _MOST:,} more; --json has them all", highlight=False)


def why_fields(
    served: "ServedList",
    shown: "Sequence[WhyThis]",
    found: "WhyNot | None",
    replayed: "Replayed",
    titles: Mapping[str, str],
) -> dict[str, Any]:
    """All of it as JSON can carry it; values that are not known are null."""
    import msgspec

    fields = {
        "request_id": served.request_id,
        "served_at": served.served_at,
        "request": served.request,
        "release": served.release,
        "tier": served.tier,
        "tier_reason": served.tier_reason,
        "rules_version": served.rules_version,
        "removed": served.rules,
        "candidates": len(served.candidates),
        "items": [dataclasses.asdict(one) | {"title": titles.get(one.item_id)} for one in shown],
        "item": None if found is None else dataclasses.asdict(found) | {"title": titles.get(found.item_id)},
        "replay": dataclasses.asdict(replayed) | {"identical": replayed.identical},
    }
    known: dict[str, Any] = _known(msgspec.to_builtins(fields))
    return known


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _known(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
