"""States with no more than some features need of them, for those who keep many in memory."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.features.layout import WIDTH
from tastemaker.features.plan import ViewPlan
from tastemaker.features.reading import collapse_tables as op
from tastemaker.features.reading.collapse import entries_of
from tastemaker.features.reading.collapse_program import program_of
from tastemaker.features.semantics import DAY_US, HEAD_US
from tastemaker.features.stores.protocol import Row

__all__ = ["needed_rows"]

_ENTRY_BYTES: Final = 8 * WIDTH
# Further back than any time, without overflowing where it is taken from one.
_ALWAYS_US: Final = 2**61
_NOT_READ: Final = -(2**61)


def needed_rows(view: ViewPlan, features: tuple[str, ...], rows: Sequence[Row]) -> list[Row]:
    """Rows of an aggregate view, without the entries that these features do not read, now or later.

    Their values are the same at every moment that reads are exact at: from ``HEAD_US`` before the newest event on.
    """
    entries, offsets = entries_of([row.state for row in rows])
    newest = np.repeat(np.array([row.event_us for row in rows], np.int64), np.diff(offsets))
    reach, cells = _reach(view, features)
    code = entries[:, 0]
    at = np.where(cells[code], entries[:, 3], entries[:, 1])
    needed = at >= newest - HEAD_US - reach[code]
    if needed.all():
        return list(rows)
    kept = np.zeros(len(entries) + 1, np.int64)
    np.cumsum(needed, out=kept[1:])
    content = entries[needed].tobytes()
    ends = (kept[offsets] * _ENTRY_BYTES).tolist()
    return [Row(row.event_us, content[begin:end]) for row, begin, end in zip(rows, ends[:-1], ends[1:], strict=True)]


@lru_cache(maxsize=64)
def _reach(view: ViewPlan, features: tuple[str, ...]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """By code: how far back its entries are read, and whether a cell's time is its value."""
    tables = program_of(view, features).tables
    reach = np.full(len(tables.places) - 1, _NOT_READ, np.int64)
    cells = np.zeros(len(reach), np.bool_)
    for code in range(len(reach)):
        for measure in tables.measures_of[tables.places[code] : tables.places[code + 1]]:
            how, window, slide, _, days = tables.measures[measure].tolist()
            cells[code] |= how == op.CELLS
            if how in {op.DECAY_COUNT, op.DECAY_SUM}:
                back = (days + 1) * DAY_US
            else:
                back = window + slide if window else _ALWAYS_US
            reach[code] = max(int(reach[code]), back)
    return reach, cells
