"""An event gets its item's category and price when the platform accepts it, once and for all.

Features by category or price need both as they were when the event happened. Were they looked up later, batch would
join the catalogue of training time, the stream that of the moment of processing, and a replay that of the replay:
three answers. So the collector stamps them, from its catalogue, into the event itself, before the broker has it; the
lake, the worker, a rebuild and a replay read the event and agree by construction. What a sender says itself, such as
the price that was really paid, is kept. An item's later change of category or price changes no earlier event; a late
event gets what the catalogue says when it arrives. Historical data sets are stamped by their adapters
(:mod:`tastemaker.events.adapters.stamp`), from the item as it was when the event happened.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tastemaker.events.contract import Event

__all__ = ["ItemFacts", "enrich", "no_facts"]


class ItemFacts(NamedTuple):
    """What events take over from their item.

    Attributes:
        category: path joined with ``/``.
        price: the unit price.
    """

    category: str | None
    price: float | None


def no_facts(item_id: str) -> ItemFacts | None:
    """Knows nothing of any item."""
    return None


def enrich(event: Event, facts_of: Callable[[str], ItemFacts | None]) -> Event:
    """The event with the category and price of its item where it has none.

    Args:
        event: a checked event.
        facts_of: what the catalogue says of an item; None for one that it does not have.
    """
    if event.item_id is None or (event.category is not None and event.price is not None):
        return event
    facts = facts_of(event.item_id)
    if facts is None:
        return event
    return msgspec.structs.replace(
        event,
        category=facts.category if event.category is None else event.category,
        price=facts.price if event.price is None else event.price,
    )
