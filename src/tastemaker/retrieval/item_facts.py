"""What the item tower sees of an item besides its id: title, category path, price and age."""

from collections.abc import Sequence

import numpy as np

from tastemaker.clock import to_us
from tastemaker.events.item import Item
from tastemaker.models.two_tower.content import ContentFacts

__all__ = ["item_facts"]


def item_facts(items: Sequence[Item]) -> ContentFacts:
    """The facts of some items; moments in microseconds, as of the interactions that towers are trained on."""
    return ContentFacts(
        titles=[item.title for item in items],
        categories=["/".join(item.category) for item in items],
        prices=np.array([np.nan if item.price is None else item.price for item in items], dtype=np.float64),
        created=np.array([to_us(item.created_at) for item in items], dtype=np.float64),
        vectors=np.zeros((len(items), 0), dtype=np.float32),
    )
