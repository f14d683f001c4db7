"""What shoppers did, as the towers learn from it: all kinds of events in their order, a purchase's basket as one."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from tastemaker.events.contract import EVENT_TYPES
from tastemaker.events.item import Item
from tastemaker.models.histories import Histories
from tastemaker.retrieval.interest import type_weights
from tastemaker.serving.signals import TARGET
from tastemaker.training.interactions import Interactions

__all__ = ["item_table", "tower_histories"]

_TARGET: Final = EVENT_TYPES.index(TARGET)


def tower_histories(interactions: Interactions, n_items: int) -> Histories:
    """One history per shopper, guests' sessions included; times in microseconds.

    What one basket holds was bought at one moment, that of its first purchase: the towers shall learn which basket
    comes next, not how one is filled. Every other event keeps its own moment. Each counts by what it says of what a
    shopper wants.

    Args:
        interactions: sorted by shopper, then time.
        n_items: size of the catalogue.
    """
    times = interactions.time_us.copy()
    bought = np.flatnonzero(interactions.type == _TARGET)
    if len(bought):
        _, first, place = np.unique(interactions.baskets()[bought], return_index=True, return_inverse=True)
        times[bought] = times[bought[first]][place]
    kinds = np.unique(interactions.type)
    return Histories.of(
        interactions.shopper,
        interactions.item,
        n_users=len(interactions.shoppers),
        n_items=n_items,
        times=times,
        weights=np.maximum(type_weights()[interactions.type], 1e-3),
        types=np.searchsorted(kinds, interactions.type),
        type_names=[EVENT_TYPES[kind] for kind in kinds],
    )


def item_table(items: Sequence[Item]) -> pa.Table:
    """The columns that the towers read of items."""
    return pa.table(
        {
            "title": pa.array([item.title for item in items], pa.string()),
            "category": pa.array(["/".join(item.category) for item in items], pa.string()),
            "price": pa.array([item.price for item in items], pa.float64()),
            "created_at": pa.array([item.created_at for item in items], pa.timestamp("us", tz="UTC")),
        }
    )
