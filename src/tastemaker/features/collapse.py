"""Packed states of many entities to feature values at a moment, for all of them at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.features.layout import BASE, HEAD, layout_of
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.semantics import DAY_US, DECAY_UNIT, MICROS, NEVER, SUM_CAP, decay_weights, floor_to

__all__ = ["collapse"]

_Ints = npt.NDArray[np.int64]


def collapse(view: ViewPlan, packed: Sequence[bytes | None], now_us: int) -> npt.NDArray[np.float64]:
    """Values of an aggregate view's features.

    Args:
        view: the view.
        packed: one state per entity; None where there is none.
        now_us: the moment to answer for.

    Returns:
        Shape ``[len(packed), len(view.features)]``, in the order of the declaration.
    """
    layout = layout_of(view)
    defaults = np.array([feature.default_value for feature in view.features], np.float64)
    values = np.tile(defaults, (len(packed), 1))
    lengths = np.array([len(state) // (8 * layout.width) if state else 0 for state in packed])
    present = np.flatnonzero(lengths)
    if not len(present):
        return values
    rows = np.frombuffer(b"".join(state for state in packed if state), np.int64).reshape(-1, layout.width)
    begins = np.concatenate(([0], np.cumsum(lengths[present])[:-1]))
    kind, start, slots = rows[:, 0], rows[:, 1], rows[:, 2:]
    head = (kind == HEAD) & (start < now_us)
    settled_or_head = head | (kind == BASE)

    def newest(slot: int) -> _Ints:
        return np.maximum.reduceat(np.where(settled_or_head, slots[:, slot], NEVER), begins)

    last = newest(0)
    known = last != NEVER
    if view.ttl_us:
        known &= last >= now_us - view.ttl_us
    for column, feature in enumerate(view.features):
        slot, group = layout.feature_slots[column], layout.feature_groups[column]
        found = known
        if feature.function == "time_since_last":
            latest = newest(slot)
            found = known & (latest != NEVER)
            result = (now_us - latest) / DAY_US
        elif feature.function == "decayed_count":
            result = _decayed(
                feature, np.where((kind == group) | head, slots[:, slot], 0), now_us // DAY_US - start // DAY_US, begins
            )
        else:
            if group is None:
                mask = settled_or_head
            else:
                oldest = floor_to(now_us - feature.window_us, feature.slide_us)
                mask = ((kind == group) | head) & (start >= oldest)
            result = _total(np.where(mask, slots[:, slot], 0), begins)
            if feature.function == "sum":
                result = result / MICROS
        values[present[found], column] = result[found]
    return values


def _total(amounts: _Ints, begins: _Ints) -> npt.NDArray[Any]:
    """Sum per entity, capped; in Python integers where 64 bits could overflow."""
    if len(amounts) and int(amounts.max()) > SUM_CAP // len(amounts):
        return np.minimum(np.add.reduceat(amounts.astype(object), begins), SUM_CAP).astype(np.int64)
    return np.add.reduceat(amounts, begins)


def _decayed(feature: FeatureSpec, counts: _Ints, age_days: _Ints, begins: _Ints) -> npt.NDArray[np.float64]:
    weights = np.array((*decay_weights(feature.half_life_us), 0), np.int64)
    weighted = counts * weights[np.clip(age_days, 0, len(weights) - 1)]
    result: npt.NDArray[np.float64] = np.add.reduceat(weighted, begins) / DECAY_UNIT
    return result
