"""The compiled loops of :mod:`tastemaker.features.reading.collapse`: one pass over the entries, then the formulas, per entity.

Every operation on doubles is one that :mod:`tastemaker.features.semantics` states, in its order, so that values equal
those of the SQL to the last bit.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled
from tastemaker.features.reading import collapse_tables as op
from tastemaker.features.reading.collapse_tables import Tables
from tastemaker.features.semantics import DAY_CAP, DAY_US, LIMB, MICROS, NEVER, SUM_CAP, SUM_DECAY_UNIT
from tastemaker.features.semantics import DECAY_UNIT as COUNT_DECAY_UNIT

__all__ = ["FOREVER", "Scratch", "accumulate", "collapse_entries", "finish", "make_scratch"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

# The smallest of nothing, and the end of what does not end.
FOREVER: Final = 2**63 - 1
_HALF: Final = 32
_SPLIT: Final = 20


class Scratch(NamedTuple):
    """What the loops write while they work on one entity.

    Attributes:
        totals: int64 ``[measures]``: what each adds up to.
        decayed: float64 ``[measures]``: likewise of DECAY_*.
        stamps: int64 ``[marks]``: which entity has marked a cell last.
        days: int64 ``[weights]``: per weight, the total of its day; zero between entities.
    """

    totals: _Ints
    decayed: _Floats
    stamps: _Ints
    days: _Ints


@compiled
def make_scratch(tables: Tables) -> Scratch:
    """Scratch space for one call."""
    number = tables.measures.shape[0]
    return Scratch(
        np.empty(number, np.int64),
        np.empty(number),
        np.zeros(tables.marks, np.int64),
        np.zeros(len(tables.weights), np.int64),
    )


@compiled
def nearest_double(high: int, low: int, bits: int) -> float:
    """``high * 2**bits + low`` as the nearest double, though it may not fit into 64 bits."""
    high += low >> bits
    low &= (1 << bits) - 1
    taken = 0
    while taken < bits and high < (1 << 61):
        high <<= 1
        taken += 1
    rest = bits - taken
    top = high | (low >> rest)
    if low & ((1 << rest) - 1):
        top |= 1  # what is dropped is not zero, and no tie; where anything is dropped, top has 62 bits
    return float(top) * 2.0**rest


@compiled
def _total_of_days(measure: _Ints, youngest: int, oldest: int, weights: _Ints, days: _Ints) -> float:
    """The weighted total of the days of these ages, which are set back to zero."""
    high, low, high_limbs, low_limbs = 0, 0, 0, 0
    first = measure[3]
    for day in range(first + youngest, first + min(oldest, measure[4] - 1) + 1):
        amount = days[day]
        if amount == 0:
            continue
        days[day] = 0
        weight = weights[day]
        if measure[0] == op.DECAY_COUNT:
            high += amount * (weight >> _SPLIT)
            low += amount * (weight & ((1 << _SPLIT) - 1))
            high += low >> _SPLIT
            low &= (1 << _SPLIT) - 1
        else:
            capped = min(amount, DAY_CAP)
            product = capped // LIMB * weight
            high_limbs += product >> _HALF
            high += product & ((1 << _HALF) - 1)
            product = capped % LIMB * weight
            low_limbs += product >> _HALF
            low += product & ((1 << _HALF) - 1)
    if measure[0] == op.DECAY_COUNT:
        return nearest_double(high, low, _SPLIT) / COUNT_DECAY_UNIT
    total = nearest_double(high_limbs, high, _HALF) * LIMB + nearest_double(low_limbs, low, _HALF)
    return total / SUM_DECAY_UNIT / MICROS


@compiled
def accumulate(  # noqa: PLR0917 - compiled functions take their arguments by position
    entries: _Ints, first: int, last: int, now_us: int, tables: Tables, scratch: Scratch
) -> None:
    """Add up the entries ``first`` to ``last`` (exclusive) of one entity, as of a moment."""
    measures, totals = tables.measures, scratch.totals
    number = measures.shape[0]
    for m in range(number):
        totals[m] = FOREVER if measures[m, 0] == op.MIN else NEVER if measures[m, 0] == op.MAX else 0
        scratch.decayed[m] = 0.0
    youngest, oldest = FOREVER, 0
    for i in range(first, last):
        code, start, value = entries[i, 0], entries[i, 1], entries[i, 3]
        begin_place, end_place = tables.places[code], tables.places[code + 1]
        if begin_place == end_place or (code >= tables.head and start >= now_us):
            continue
        for place in range(begin_place, end_place):
            m = tables.measures_of[place]
            how = measures[m, 0]
            if measures[m, 1]:
                begin = now_us - measures[m, 1]
                begin -= begin % measures[m, 2]
                if (value if how == op.CELLS else start) < begin:
                    continue
            if how == op.SUM:
                totals[m] = SUM_CAP if value > SUM_CAP - totals[m] else totals[m] + value
            elif how == op.MIN:
                totals[m] = min(totals[m], value)
            elif how == op.MAX:
                totals[m] = max(totals[m], value)
            elif how == op.CELLS:
                mark = measures[m, 3] + entries[i, 2]
                if scratch.stamps[mark] != last:  # where an entity's entries end tells it from the others
                    scratch.stamps[mark] = last
                    totals[m] += 1
            else:
                age = max(now_us // DAY_US - start // DAY_US, 0)
                if age < measures[m, 4]:
                    day, days = measures[m, 3] + age, scratch.days
                    days[day] = SUM_CAP if value > SUM_CAP - days[day] else days[day] + value
                    youngest, oldest = min(youngest, age), max(oldest, age)
    if youngest == FOREVER:
        return
    for m in range(number):
        if measures[m, 0] >= op.DECAY_COUNT:
            scratch.decayed[m] = _total_of_days(measures[m], youngest, oldest, tables.weights, scratch.days)


@compiled
def finish(now_us: int, tables: Tables, scratch: Scratch, out: _Floats, times: _Ints) -> None:
    """The features of one entity from its measures, into ``out``; ``times`` gets the event's time of each TIME."""
    totals = scratch.totals
    known = totals[0] != NEVER and (tables.ttl_us == 0 or totals[0] >= now_us - tables.ttl_us)
    for f in range(len(out)):
        what, a, b, c = tables.features[f, 0], tables.features[f, 1], tables.features[f, 2], tables.features[f, 3]
        out[f] = tables.defaults[f]
        times[f] = NEVER
        if not known:
            continue
        if what == op.COUNT:
            out[f] = float(totals[a])
        elif what == op.TOTAL:
            out[f] = float(totals[a]) / MICROS
        elif what == op.MEAN:
            if totals[a]:
                out[f] = float(totals[b]) / MICROS / float(totals[a])
        elif what == op.STDDEV:
            if totals[a]:
                mean = float(totals[b]) / MICROS / float(totals[a])
                out[f] = math.sqrt(max(0.0, float(totals[c]) / MICROS / float(totals[a]) - mean * mean))
        elif what == op.EXTREME:
            if NEVER < totals[a] < FOREVER:
                out[f] = float(totals[a]) / MICROS
        elif what == op.DISTINCT:
            out[f] = tables.estimates[b + totals[a]]
        elif what == op.TIME:
            if NEVER < totals[a] < FOREVER:
                times[f] = totals[a]
                out[f] = float(now_us - totals[a]) / DAY_US
        elif what == op.INTERVAL:
            if totals[a] > 1:
                out[f] = float(totals[c] - totals[b]) / float(totals[a] - 1) / DAY_US
        elif what == op.DECAYED:
            out[f] = scratch.decayed[a]
        elif out[b] != 0.0:
            out[f] = out[a] / out[b]


@compiled
def collapse_entries(entries: _Ints, offsets: _Ints, now_us: int, tables: Tables) -> _Floats:
    """Features of many entities.

    Args:
        entries: int64 ``[entries, 4]``, of all entities one after another.
        offsets: int64 ``[n + 1]``: where each entity's entries begin.
        now_us: the moment.
        tables: what to compute.

    Returns:
        float64 ``[n, features]``.
    """
    n = len(offsets) - 1
    out = np.empty((n, len(tables.defaults)))
    times = np.empty(len(tables.defaults), np.int64)
    scratch = make_scratch(tables)
    for e in range(n):
        if offsets[e] == offsets[e + 1]:
            out[e] = tables.defaults
            continue
        accumulate(entries, offsets[e], offsets[e + 1], now_us, tables, scratch)
        finish(now_us, tables, scratch, out[e], times)
    return out
