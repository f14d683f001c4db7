"""The compiled loops that collapse states and say how long the values hold while no event comes in."""

import numpy as np
import numpy.typing as npt

from tastemaker.features.jit import compiled
from tastemaker.features.reading import collapse_tables as op
from tastemaker.features.reading.collapse_kernel import FOREVER, accumulate, finish, make_scratch, window_begins
from tastemaker.features.reading.collapse_tables import Tables
from tastemaker.features.semantics import DAY_US, NEVER

__all__ = ["collapse_with_validity"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


@compiled
def _narrow(moment: int, now_us: int, span: _Ints) -> None:
    """Something changes at a moment: the span around now ends there."""
    if moment <= now_us:
        span[0] = max(span[0], moment)
    else:
        span[1] = min(span[1], moment)


@compiled
def _validity(  # noqa: PLR0917 - compiled functions take their arguments by position
    entries: _Ints, first: int, last: int, now_us: int, tables: Tables, newest_us: int, span: _Ints
) -> None:
    """The span around now in which no entry becomes visible or leaves a window, no day begins, and no TTL ends."""
    span[0], span[1] = NEVER, FOREVER
    measures = tables.measures
    for m in range(measures.shape[0]):
        if measures[m, 0] >= op.DECAY_COUNT:
            _narrow(now_us - now_us % DAY_US, now_us, span)
            _narrow(now_us - now_us % DAY_US + DAY_US, now_us, span)
    if tables.ttl_us and newest_us != NEVER:
        _narrow(newest_us + tables.ttl_us + 1, now_us, span)
    for i in range(first, last):
        code, start = entries[i, 0], entries[i, 1]
        if tables.places[code] == tables.places[code + 1]:
            continue
        if code >= tables.head:
            _narrow(start + 1, now_us, span)
        for place in range(tables.places[code], tables.places[code + 1]):
            m = tables.measures_of[place]
            window, slide = measures[m, 1], measures[m, 2]
            if window:
                at = entries[i, 3] if measures[m, 0] == op.CELLS else start
                _narrow(at - at % slide + slide + window, now_us, span)


@compiled
def collapse_with_validity(entries: _Ints, offsets: _Ints, now_us: int, tables: Tables) -> tuple[_Floats, _Ints, _Ints]:
    """As :func:`tastemaker.features.reading.collapse_kernel.collapse_entries`, and how long the values hold.

    Returns:
        float64 ``[n, features]``; int64 ``[n, features]``, the event's time of each TIME that has one, else ``NEVER``;
        int64 ``[n, 2]``: from when (inclusive) until when (exclusive) all but these stay.
    """
    n = len(offsets) - 1
    out = np.empty((n, len(tables.defaults)))
    times = np.full((n, len(tables.defaults)), NEVER, np.int64)
    spans = np.empty((n, 2), np.int64)
    scratch, begins = make_scratch(tables), window_begins(now_us, tables)
    for e in range(n):
        if offsets[e] == offsets[e + 1]:
            out[e] = tables.defaults
            spans[e, 0], spans[e, 1] = NEVER, FOREVER
            continue
        accumulate(entries, offsets[e], offsets[e + 1], now_us, begins, tables, scratch)
        finish(now_us, tables, scratch, out[e], times[e])
        _validity(entries, offsets[e], offsets[e + 1], now_us, tables, scratch.totals[0], spans[e])
    return out, times, spans
