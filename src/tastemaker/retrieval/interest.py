"""How much an event with an item says about what a shopper wants, by its kind."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.events.contract import EVENT_TYPES

__all__ = ["TYPE_WEIGHTS", "type_weights"]

# Stated once for the query tower's start and for the anchors of co-visitation. They order kinds of events by how
# much they commit a shopper; they are what makes a click count in a model trained on purchases alone.
TYPE_WEIGHTS: Final[Mapping[str, float]] = {
    "purchase": 1.0,
    "cart_add": 0.8,
    "wishlist": 0.6,
    "like": 0.6,
    "view": 0.5,
    "rating": 0.5,
}


def type_weights() -> npt.NDArray[np.float32]:
    """float32 ``[event types]``, in the order of ``EVENT_TYPES``; kinds that say nothing good weigh 0."""
    return np.array([TYPE_WEIGHTS.get(name, 0.0) for name in EVENT_TYPES], dtype=np.float32)
