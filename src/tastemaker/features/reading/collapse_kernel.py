"""The compiled loops that collapse states: one pass over an entity's entries, then the formulas.

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

__all__ = ["FOREVER", "Scratch", "accumulate", "collapse_entries", "finish", "make_scratch", "window_begins"]

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
        seen_days: int64 ``[weights]``: of each decaying measure, from its first weight on, the days that are not zero.
        seen: int64 ``[measures]``: how many those are.
    """

    totals: _Ints
    decayed: _Floats
    stamps: _Ints
    days: _Ints
    seen_days: _Ints
    seen: _Ints


@compiled
def make_scratch(tables: Tables) -> Scratch:
    """Scratch space for one call."""
    number = tables.measures.shape[0]
    return Scratch(
        np.empty(number, np.int64),
        np.empty(number),
        np.zeros(tables.marks, np.int64),
        np.zeros(len(tables.weights), np.int64),
        np.empty(len(tables.weights), np.int64),
        np.zeros(number, np.int64),
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
def _total_of_days(measure: _Ints, seen: int, weights: _Ints, scratch: Scratch) -> float:
    """The weighted total of the days that were seen, which are set back to zero."""
    high, low, high_limbs, low_limbs = 0, 0, 0, 0
    for place in range(measure[3], measure[3] + seen):
        day = scratch.seen_days[place]
        amount = scratch.days[day]
        scratch.days[day] = 0
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
def window_begins(now_us: int, tables: Tables) -> _Ints:
    """Where the window of each measure begins at a moment, int64 ``[measures]``; ``NEVER`` for the lifetime."""
    measures = tables.measures
    begins = np.full(measures.shape[0], NEVER, np.int64)
    for m in range(measures.shape[0]):
        if measures[m, 1]:
            begin = now_us - measures[m, 1]
            begins[m] = begin - begin % measures[m, 2]
    return begins


@compiled
def accumulate(  # noqa: PLR0917 - compiled functions take their arguments by position
    entries: _Ints, first: int, last: int, now_us: int, begins: _Ints, tables: Tables, scratch: Scratch
) -> None:
    """Add up the entries ``first`` to ``last`` (exclusive) of one entity, as of a moment.

    Entries of one code follow one another, oldest first, so that each measure reads the end of such a run, backwards
    until its window begins.
    """
    measures, totals = tables.measures, scratch.totals
    for m in range(measures.shape[0]):
        totals[m] = FOREVER if measures[m, 0] == op.MIN else NEVER if measures[m, 0] == op.MAX else 0
        scratch.decayed[m] = 0.0
    today = now_us // DAY_US
    following = first
    while following < last:
        begin = following
        code = entries[begin, 0]
        while following < last and entries[following, 0] == code:
            following += 1
        if tables.places[code] == tables.places[code + 1]:
            continue
        end = following
        if code >= tables.head:
            while end > begin and entries[end - 1, 1] >= now_us:
                end -= 1
        for place in range(tables.places[code], tables.places[code + 1]):
            m = tables.measures_of[place]
            how, since, total, i = measures[m, 0], begins[m], totals[m], end - 1
            if how == op.SUM:
                while i >= begin and entries[i, 1] >= since:
                    value = entries[i, 3]
                    total = SUM_CAP if value > SUM_CAP - total else total + value
                    i -= 1
            elif how == op.MIN:
                while i >= begin and entries[i, 1] >= since:
                    total = min(total, entries[i, 3])
                    i -= 1
            elif how == op.MAX:
                while i >= begin and entries[i, 1] >= since:
                    total = max(total, entries[i, 3])
                    i -= 1
            elif how == op.CELLS:
                for i in range(begin, end):
                    mark = measures[m, 3] + entries[i, 2]
                    # Where an entity's entries end tells it from the others.
                    if entries[i, 3] >= since and scratch.stamps[mark] != last:
                        scratch.stamps[mark] = last
                        total += 1
            else:
                days, most = scratch.days, measures[m, 4]
                while i >= begin:
                    age = max(today - entries[i, 1] // DAY_US, 0)
                    if age >= most:
                        break
                    day, value = measures[m, 3] + age, entries[i, 3]
                    if days[day] == 0 and value:
                        scratch.seen_days[measures[m, 3] + scratch.seen[m]] = day
                        scratch.seen[m] += 1
                    days[day] = SUM_CAP if value > SUM_CAP - days[day] else days[day] + value
                    i -= 1
            totals[m] = total
    for m in range(measures.shape[0]):
        if scratch.seen[m]:
            scratch.decayed[m] = _total_of_days(measures[m], scratch.seen[m], tables.weights, scratch)
            scratch.seen[m] = 0


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
    scratch, begins = make_scratch(tables), window_begins(now_us, tables)
    for e in range(n):
        if offsets[e] == offsets[e + 1]:
            out[e] = tables.defaults
            continue
        accumulate(entries, offsets[e], offsets[e + 1], now_us, begins, tables, scratch)
        finish(now_us, tables, scratch, out[e], times)
    return out
