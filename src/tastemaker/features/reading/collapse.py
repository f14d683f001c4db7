"""Packed states of many entities to feature values at a moment, for all of them at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.features.layout import WIDTH
from tastemaker.features.plan import ViewPlan
from tastemaker.features.reading.collapse_program import program_of
from tastemaker.features.stores.packing import packed_states
from tastemaker.features.stores.protocol import PackedStates

__all__ = ["collapse", "collapse_packed", "entries_of", "validity"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


def entries_of(packed: Sequence[bytes | None]) -> tuple[_Ints, _Ints]:
    """Entries of many states, int64 ``[entries, 4]``, and where each state's begin, int64 ``[n + 1]``."""
    return _entries(packed_states(packed))


def _entries(packed: PackedStates) -> tuple[_Ints, _Ints]:
    return packed.words.reshape(-1, WIDTH), packed.offsets // WIDTH


def collapse(
    view: ViewPlan, packed: Sequence[bytes | None], now_us: int, features: tuple[str, ...] | None = None
) -> _Floats:
    """Values of an aggregate view's numeric features.

    Args:
        view: the view.
        packed: one state per entity; None where there is none.
        now_us: the moment to answer for, in microseconds.
        features: which, in which order; None for all of the view.

    Returns:
        Shape ``[len(packed), features]``.

    Raises:
        DataError: a feature is no number, or the view has none of that name.
    """
    return _collapsed(view, *entries_of(packed), now_us, features)


def collapse_packed(
    view: ViewPlan, packed: PackedStates, now_us: int, features: tuple[str, ...] | None = None
) -> _Floats:
    """As :func:`collapse`, of states that are in an array already."""
    return _collapsed(view, *_entries(packed), now_us, features)


def _collapsed(
    view: ViewPlan, entries: _Ints, offsets: _Ints, now_us: int, features: tuple[str, ...] | None
) -> _Floats:
    # Compiled code is only loaded where something is read: the command line starts without it.
    from tastemaker.features.reading.collapse_kernel import collapse_entries

    program = program_of(view, features)
    values: _Floats = collapse_entries(entries, offsets, now_us, program.tables)
    return values if program.columns is None else values[:, program.columns]


def validity(
    view: ViewPlan, packed: Sequence[bytes | None], now_us: int, features: tuple[str, ...] | None = None
) -> tuple[_Floats, _Ints, _Ints]:
    """As :func:`collapse`, and how long the values hold while no event comes in.

    Returns:
        The values; int64 ``[n, features]``: the event's time of a feature that is the time since it, and
        :data:`tastemaker.features.semantics.NEVER` of all others and where it has its default; int64 ``[n, 2]``: from
        when (inclusive) until when (exclusive) all but these stay as they are.
    """
    from tastemaker.features.reading.validity_kernel import collapse_with_validity

    program = program_of(view, features)
    found: tuple[Any, Any, Any] = collapse_with_validity(*entries_of(packed), now_us, program.tables)
    values, times, spans = found
    columns = slice(None) if program.columns is None else program.columns
    return values[:, columns], times[:, columns], spans
