"""Rules that cannot all have their way. Serving resolves them in a fixed order; people should know beforehand."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from tastemaker.serving.rerank.rule import Rule

__all__ = ["Contradiction", "contradictions"]


class Contradiction(NamedTuple):
    """Two rules that do not go together.

    Attributes:
        rules: their ids.
        text: what does not go together, and what serving does about it.
    """

    rules: tuple[str, str]
    text: str


def contradictions(rules: Iterable[Rule]) -> list[Contradiction]:
    """The pairs of rules that do not go together, at some time on some surface.

    Found by what rules name: positions and item ids. What rules on categories, brands and prices do to the same item is
    seen in a list's effects.

    Args:
        rules: in the order in which they are applied; disabled ones count for nothing.
    """
    pins: dict[int, list[Rule]] = defaultdict(list)
    excluded: dict[str, list[Rule]] = defaultdict(list)
    pushed: dict[str, list[Rule]] = defaultdict(list)
    enabled = [rule for rule in rules if rule.enabled]
    for rule in enabled:
        if rule.position is not None:
            pins[rule.position].append(rule)
        whole = (
            not (rule.where.categories or rule.where.brands) and rule.where.price_from is rule.where.price_to is None
        )
        target = {"exclude": excluded, "boost": pushed, "bury": pushed}.get(rule.kind)
        if whole and target is not None:
            for item_id in rule.where.item_ids:
                target[item_id].append(rule)
    found: list[Contradiction] = []
    for position, rivals in sorted(pins.items()):
        for index, second in enumerate(rivals):
            first = next((rule for rule in rivals[:index] if _meet(rule, second)), None)
            if first is not None:
                text = (
                    f"{first.id} and {second.id} both pin position {position}: {first.id} was added first and has it,"
                    f" {second.id} gets the next free one"
                )
                found.append(Contradiction((first.id, second.id), text))
    for rule in enabled:
        for item_id in rule.where.item_ids if rule.kind != "exclude" else ():
            out = next((other for other in excluded.get(item_id, ()) if _meet(other, rule)), None)
            if out is not None:
                text = f"{rule.id} is to {rule.kind} {item_id}, which {out.id} excludes: it stays out"
                found.append(Contradiction((rule.id, out.id), text))
    for item_id, rivals in pushed.items():
        up = next((rule for rule in rivals if rule.kind == "boost"), None)
        down = next((rule for rule in rivals if rule.kind == "bury"), None)
        if up is not None and down is not None and _meet(up, down):
            text = f"{up.id} boosts and {down.id} buries {item_id}: both count, one against the other"
            found.append(Contradiction((up.id, down.id), text))
    return found


def _meet(one: Rule, other: Rule) -> bool:
    """Whether some list, some time, is under both."""
    (since, until), (other_since, other_until) = one.span_us(), other.span_us()
    surfaces = set(one.where.surfaces), set(other.where.surfaces)
    together = not surfaces[0] or not surfaces[1] or bool(surfaces[0] & surfaces[1])
    return together and since < other_until and other_since < until
