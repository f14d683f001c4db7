"""The stream executor's states of a history view: add a batch of events to many entities at once."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.features.history import newest_first
from tastemaker.features.plan import ViewPlan
from tastemaker.features.stores.packing import packed_states
from tastemaker.features.streaming.batch import EventBatch
from tastemaker.features.streaming.kernel_types import HistoryEvents
from tastemaker.features.streaming.packed import Merged, sliced

__all__ = ["merge_history"]

_WORD_BYTES: Final = 8


def merge_history(
    view: ViewPlan,
    batch: EventBatch,
    order: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    old: Sequence[bytes],
) -> Merged:
    """Add events to the histories of some entities; an event that is there already changes nothing.

    Args:
        view: a history view.
        batch: the events.
        order: int64[m], indices of the events that the view sees, entity by entity.
        starts: int64[k + 1], where in ``order`` each entity begins.
        old: k packed states; empty for an entity without events.
    """
    from tastemaker.features.streaming.history_kernel import merge_histories

    events = HistoryEvents(
        at_us=batch.at_us,
        values=batch.amounts(names.VALUE).view(np.int64),
        prices=batch.amounts(names.PRICE).view(np.int64),
        ids=batch.texts(names.EVENT_ID),
        items=batch.texts(names.ITEM_ID),
        types=batch.texts(names.TYPE),
        categories=batch.texts(names.CATEGORY),
        has_category=batch.encoded(names.CATEGORY).codes >= 0,
    )
    words, ends, newest_us = merge_histories(*packed_states(old), order, starts, events, newest_first(view))
    return sliced(words, ends * _WORD_BYTES, newest_us)
