r"""What a feature's value is; both executors (SQL over the lake, tiles in the worker) implement this page.

A view sees the events whose type passes its ``where``, that carry all of its entity keys, that are not corrected, and
that arrived within the view's allowed lateness (``ingested_at - occurred_at <= lateness``; imported history arrived
when it occurred). A function sees those of them whose column is not null. An event_id counts once: its first
occurrence. An event is corrected when another one names it in ``corrects``, whichever arrives first; a correction
stands in its place with its own time and content, and a ``retraction`` leaves the place empty. At time ``t``, in
microseconds:

- Only events with ``occurred_at < t`` exist. The event that a training row stands for is never its own feature, and
  an event whose sender's clock runs ahead does not count before its time.
- A window of length ``W`` that slides by ``S`` covers ``floor_S(t - W) <= occurred_at < t``, where ``floor_S`` rounds
  down to a multiple of ``S`` since the epoch: the trailing edge moves in steps, the leading edge is exact. A window
  of None or zero is the lifetime.
- Amounts (``value``, ``price``) are whole micro-units (:func:`to_micros`), so that the order of addition cannot
  matter, and sums stop at :data:`SUM_CAP`. A result is the double nearest to the whole number, over a million.
- ``count`` counts events. ``sum``, ``min``, ``max`` are of amounts. ``mean`` is the sum over the count. ``stddev`` is
  that of the population: ``sqrt(max(0, q / n - mean * mean))`` with ``q`` the sum of squares, each square in whole
  micro-units (:func:`square_to_micros`) and at most :data:`SUM_CAP`. Without an amount in the window, ``mean``,
  ``min``, ``max`` and ``stddev`` are the default.
- ``approx_distinct(m)`` estimates the number of distinct labels by linear counting over ``m`` cells; see
  :func:`tastemaker.features.layout.distinct_estimates`, which states the error.
- ``top_k(k)`` lists the ``k`` labels with the most events in the window, ``top_k(k, value)`` those with the largest
  sum of value (an event without a value weighs nothing, and labels of weight 0 are left out); equal weights in the
  order of the labels' text (by code point).
- ``time_since_last`` and ``time_since_first`` are ``t`` minus the newest and the oldest ``occurred_at``, in days;
  ``mean_interval`` is newest minus oldest over the count less one, in days, and the default below two events.
- ``decayed_count(H)`` is the sum of ``2 ** (-age / H)``, where ``age`` is the number of UTC midnights between the
  event and ``t``; the weights are whole numbers of :data:`DECAY_UNIT` (:func:`decay_weights`). ``decayed_sum(H)``
  weighs the sum of each day, of at most :data:`DAY_CAP`, as :func:`decayed_total` says.
- ``ratio`` divides the values of two features of the view; where the second is 0 it is the default.
- ``last_n(n)`` lists a column of the ``n`` newest events by ``(occurred_at, event_id)``, newest first, and ``last``
  is the first of them. History views see only events with an item. A null column is an empty text, or NaN of an
  amount; of ``last``, the default.
- An entity without any event of the view before ``t``, or whose newest one is older than the view's TTL (inclusive;
  zero means no TTL), has every feature at its declared default.

Reads of the tiles are exact for every ``t`` that is at most :data:`HEAD_US` before the newest event of the entity.
Events that new are kept at full resolution (the head); older ones are merged into tiles. The collector refuses events
from more than ``FUTURE_TOLERANCE`` ahead, half of that, so that every read of the present is exact, also while clocks
of processes differ a little.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from tastemaker.events.contract import FUTURE_TOLERANCE

__all__ = [
    "DAY_CAP",
    "DAY_US",
    "DECAY_UNIT",
    "HEAD_US",
    "LIMB",
    "MICROS",
    "NEVER",
    "SUM_CAP",
    "SUM_DECAY_UNIT",
    "decay_weights",
    "decayed_total",
    "floor_to",
    "square_to_micros",
    "to_micros",
]

DAY_US: Final = 86_400_000_000
HEAD_US: Final = 2 * int(FUTURE_TOLERANCE.total_seconds() * 1_000_000)
MICROS: Final = 1_000_000
# Sums stop growing here: half of what 64 bits hold. Values are not negative, so where it is applied cannot matter.
SUM_CAP: Final = 2**62
DECAY_UNIT: Final = 2**40
# Decayed sums: coarser weights and a bound on a day's sum, so that limbs of LIMB never overflow 64 bits.
SUM_DECAY_UNIT: Final = 2**30
LIMB: Final = 2**24
DAY_CAP: Final = 2**50
# "No event": smaller than any time.
NEVER: Final = -(2**63)


def floor_to(us: int, step_us: int) -> int:
    """The largest multiple of ``step_us`` that is not after ``us``.

    >>> floor_to(-1, 10)
    -10
    """
    return us - us % step_us


def to_micros(value: float) -> int:
    """A value in whole micro-units, half to even.

    >>> to_micros(2.55)
    2550000
    """
    return round(value * MICROS)


def square_to_micros(value: float) -> int:
    """The square of a value in whole micro-units, half to even, at most ``SUM_CAP``.

    >>> square_to_micros(1.5)
    2250000
    """
    return min(round(min(value * value * MICROS, float(SUM_CAP))), SUM_CAP)


@lru_cache(maxsize=64)
def decay_weights(half_life_us: int, unit: int = DECAY_UNIT) -> tuple[int, ...]:
    """The weight of an event by its age in days, in units of one over ``unit``; ages past the end weigh nothing.

    >>> [weight / DECAY_UNIT for weight in decay_weights(DAY_US)[:3]]
    [1.0, 0.5, 0.25]
    """
    weights: list[int] = []
    while weight := round(unit * 2.0 ** (-len(weights) * DAY_US / half_life_us)):
        weights.append(weight)
    return tuple(weights)


def decayed_total(day_sums: Iterable[tuple[int, int]]) -> float:
    """The decayed sum of ``(sum of a day in micro-units, weight in SUM_DECAY_UNIT)`` pairs.

    Each day's sum is capped at ``DAY_CAP`` and split into limbs; the two totals of limbs times weights are whole
    numbers, which no order of addition changes, and become doubles only at the end.

    >>> decayed_total([(2_000_000, SUM_DECAY_UNIT), (1_000_000, SUM_DECAY_UNIT // 2)])
    2.5
    """
    high = low = 0
    for day_sum, weight in day_sums:
        capped = min(day_sum, DAY_CAP)
        high += capped // LIMB * weight
        low += capped % LIMB * weight
    return (float(high) * LIMB + float(low)) / SUM_DECAY_UNIT / MICROS
