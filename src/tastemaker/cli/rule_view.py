"""How the rules' commands show rules and changes."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from tastemaker.serving.rerank.rule import Rule
    from tastemaker.serving.rerank.rule_log import Change

__all__ = ["about", "changes_table", "does", "fields", "moment", "state", "touches"]


def fields(rule: "Rule") -> dict[str, Any]:
    """As JSON and YAML have it."""
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(rule)
    return fields


def touches(change: "Change", rule_id: str) -> bool:
    """Whether a change is about a rule."""
    return any(rule.id == rule_id for rule in change.rules)


def changes_table(changes: list["Change"]) -> Table:
    """Changes as a table."""
    table = Table("at", "who", "did", "rules", "why")
    table.add_column("version", overflow="fold", min_width=16)
    for change in changes:
        ids = ", ".join(rule.id for rule in change.rules[:5])
        more = f" and {len(change.rules) - 5:,} more" if len(change.rules) > 5 else ""
        at = f"{change.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(at, change.who, change.what, ids + more, change.why, change.version)
    return table


def state(rule: "Rule", now: datetime) -> str:
    """``on``, ``to come``, ``over`` or ``disabled``."""
    if not rule.enabled:
        return "disabled"
    if rule.until is not None and rule.until <= now:
        return "over"
    return "to come" if rule.since is not None and now < rule.since else "on"


def does(rule: "Rule") -> str:
    """What a rule does, such as ``boost × 1.5``."""
    detail = {
        "boost": f" × {rule.strength}",
        "bury": f" ÷ {rule.strength}",
        "pin": f" at {rule.position}",
        "cap": f" at {rule.limit} per list",
    }
    return rule.kind + detail.get(rule.kind, "")


def about(rule: "Rule") -> str:
    """Which items, in short."""
    where = rule.where
    parts = [
        ", ".join(values[:3]) + (f" and {len(values) - 3:,} more" if len(values) > 3 else "")
        for values in (where.categories, where.brands, where.item_ids)
        if values
    ]
    if where.price_from is not None or where.price_to is not None:
        parts.append(f"{where.price_from or 0:g} to {'any' if where.price_to is None else f'{where.price_to:g}'}")
    return "; ".join(parts) or "every item"


def moment(at: datetime | None) -> str:
    """A time to the minute; ``-`` for none."""
    return f"{at:%Y-%m-%d %H:%M}" if at else "-"
