"""What a shopper's events and purchases say about what they want, in one compiled pass."""

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled

__all__ = ["sum_by_row", "weigh"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]

_DAY_US = 86_400_000_000.0
_LEFT = 0.01  # of an event's freshness; less is nothing


@compiled
def sum_by_row(rows: _Ints, weights: _Floats) -> tuple[_Ints, _Floats]:
    """Each row once with the sum of its weights; the largest first, ties by row; without rows that weigh nothing.

    Args:
        rows: int64 ``[n]``.
        weights: float32 ``[n]``.
    """
    n = len(rows)
    order = np.argsort(rows, kind="mergesort")
    unique = np.empty(n, np.int64)
    sums = np.empty(n, np.float64)
    found = -1
    for at in range(n):
        row = rows[order[at]]
        if found < 0 or unique[found] != row:
            if found < 0 or sums[found] > 0.0:
                found += 1
            unique[found] = row
            sums[found] = 0.0
        sums[found] += weights[order[at]]
    count = found + 1
    if count and not sums[found] > 0.0:
        count -= 1
    best = np.argsort(-sums[:count], kind="mergesort")
    return unique[:count][best], sums[:count][best].astype(np.float32)


@compiled
def weigh(  # noqa: PLR0917 - compiled functions take their arguments by position
    rows: _Ints,
    types: _Ints,
    times: _Ints,
    owned: _Ints,
    type_weights: _Floats,
    purchase: int,
    now_us: int,
    half_life_minutes: float,
) -> tuple[_Ints, _Floats, _Ints, _Floats, _Ints, _Floats]:
    """Anchors, habits and intent of :class:`tastemaker.retrieval.source.Query`, each with its weights.

    Anchors are the whole history by kind and recency, ``1 / (1 + days)``: that decay was fitted on Online Retail's
    validation window, and makes a click count at once. Fresh intent takes up to half of them, however long the history
    is. Fresh is what is no purchase, by kind and by what is left of it: half after each half-life. Most purchases of
    the history are among the owned items; those of a session before its login are not.

    Args:
        rows: int64 ``[events]``, items of the history, newest first.
        types: int64 ``[events]``, indices of event types.
        times: int64 ``[events]``, microseconds.
        owned: int64 ``[owned]``, items that were bought, each once.
        type_weights: float32, by event type.
        purchase: index of the type that commits most.
        now_us: the moment, in microseconds.
        half_life_minutes: of fresh events.
    """
    n = len(rows)
    fresh = np.zeros(n, np.float32)
    recent = np.empty(n, np.float32)
    fresh_total = recent_total = 0.0
    for at in range(n):
        age = max((now_us - times[at]) / _DAY_US, 0.0)
        weight = type_weights[types[at]]
        recent[at] = weight * np.float32(1.0 / (1.0 + age))
        recent_total += recent[at]
        if types[at] != purchase:
            left = 0.5 ** (age * 1_440.0 / half_life_minutes)
            if left >= _LEFT:
                fresh[at] = weight * np.float32(left)
                fresh_total += fresh[at]
    share = 0.5 * (1.0 - np.exp(-fresh_total))
    mixed = np.empty(n, np.float32)
    for at in range(n):
        mixed[at] = (1.0 - share) * recent[at] / max(recent_total, 1e-9) + share * fresh[at] / max(fresh_total, 1e-9)
    anchors, anchor_weights = sum_by_row(rows, mixed)
    intent, intent_weights = sum_by_row(rows, fresh)

    known = np.sort(owned)
    m = len(owned)
    all_rows = np.empty(m + n, np.int64)
    all_weights = np.empty(m + n, np.float32)
    all_rows[:m] = owned
    all_weights[:m] = type_weights[purchase]
    for at in range(n):
        if types[at] == purchase:
            place = np.searchsorted(known, rows[at])
            if place < len(known) and known[place] == rows[at]:
                continue
        all_rows[m] = rows[at]
        all_weights[m] = type_weights[types[at]]
        m += 1
    habits, habit_weights = sum_by_row(all_rows[:m], all_weights[:m])
    return anchors, anchor_weights, habits, np.minimum(habit_weights, np.float32(1.0)), intent, intent_weights
