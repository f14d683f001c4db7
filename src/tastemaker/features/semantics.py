r"""What a feature's value is; both executors (SQL over the lake, tiles in the worker) implement this page.

A view sees the events whose type passes its ``where``, that carry all of its entity keys, and whose aggregated
column is not null. An event_id counts once: its first occurrence. At time ``t``, in microseconds:

- Only events with ``occurred_at < t`` exist. The event that a training row stands for is never its own feature,
  and an event whose sender's clock runs ahead does not count before its time.
- A window of length ``W`` that slides by ``S`` covers ``floor_S(t - W) <= occurred_at < t``, where ``floor_S``
  rounds down to a multiple of ``S`` since the epoch: the trailing edge moves in steps, the leading edge is exact.
  A window of None or zero is the lifetime.
- ``count`` counts events. ``sum`` adds ``value`` in whole micro-units (:func:`to_micros`), so that the order of
  addition cannot matter, up to :data:`SUM_CAP`; the result is the double nearest to the sum, over a million.
- ``time_since_last`` is ``t`` minus the newest ``occurred_at``, in days.
- ``decayed_count(H)`` is the sum of ``2 ** (-age / H)``, where ``age`` is the number of UTC midnights between the
  event and ``t``; the weights are whole numbers of :data:`DECAY_UNIT` (:func:`decay_weights`).
- ``last_n(n)`` lists the ``n`` newest events by ``(occurred_at, event_id)``, newest first.
- An entity without any event of the view before ``t``, or whose newest one is older than the view's TTL (inclusive;
  zero means no TTL), has every feature at its declared default.

Reads of the tiles are exact for every ``t`` that is at most :data:`HEAD_US` before the newest event of the entity.
Events that new are kept at full resolution (the head); older ones are merged into tiles. The collector refuses
events from more than ``FUTURE_TOLERANCE`` ahead, half of that, so that every read of the present is exact, also
while clocks of processes differ a little.
"""

from functools import lru_cache
from typing import Final

from tastemaker.events.contract import FUTURE_TOLERANCE

__all__ = ["DAY_US", "DECAY_UNIT", "HEAD_US", "MICROS", "NEVER", "SUM_CAP", "decay_weights", "floor_to", "to_micros"]

DAY_US: Final = 86_400_000_000
HEAD_US: Final = 2 * int(FUTURE_TOLERANCE.total_seconds() * 1_000_000)
MICROS: Final = 1_000_000
# Sums stop growing here: half of what 64 bits hold. Values are not negative, so where it is applied cannot matter.
SUM_CAP: Final = 2**62
DECAY_UNIT: Final = 2**40
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


@lru_cache(maxsize=64)
def decay_weights(half_life_us: int) -> tuple[int, ...]:
    """The weight of an event by its age in days, in units of 2**-40; ages past the end weigh nothing.

    >>> [weight / DECAY_UNIT for weight in decay_weights(DAY_US)[:3]]
    [1.0, 0.5, 0.25]
    """
    weights: list[int] = []
    while weight := round(DECAY_UNIT * 2.0 ** (-len(weights) * DAY_US / half_life_us)):
        weights.append(weight)
    return tuple(weights)
