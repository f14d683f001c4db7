"""What the compiled loops of the stream executor take: columns of a batch, and a layout as tables."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "GIVES_AMOUNT",
    "GIVES_CELL",
    "GIVES_LABEL",
    "GIVES_ONE",
    "GIVES_TIME",
    "MAX",
    "MIN",
    "SUM",
    "Events",
    "HistoryEvents",
    "Tables",
    "Texts",
]

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]
_Bytes = npt.NDArray[np.uint8]

# What an event gives to a slot, and how a slot merges.
GIVES_TIME: Final = 0
GIVES_ONE: Final = 1
GIVES_AMOUNT: Final = 2
GIVES_CELL: Final = 3
GIVES_LABEL: Final = 4
SUM: Final = 0
MIN: Final = 1
MAX: Final = 2


class Events(NamedTuple):
    """A batch of n events.

    Attributes:
        at_us: int64[n], their times.
        partitions: int64[n], where they came from.
        offsets: int64[n], likewise.
        types: int64[n], the bit of their types.
        present: bool[columns, n], whether a column is not null.
        numbers: int64[rows, n], amounts in micro-units, and numbers of labels.
    """

    at_us: _Ints
    partitions: _Ints
    offsets: _Ints
    types: _Ints
    present: _Bools
    numbers: _Ints


class Tables(NamedTuple):
    """A layout with s slots and g tile groups.

    Attributes:
        gives: int64[s], what an event gives to the slot: one of the ``GIVES_`` constants.
        merges: int64[s], how its values merge: ``SUM``, ``MIN`` or ``MAX``.
        types: int64[s], the bits of the types that it sees.
        column: int64[s], the row of ``Events.present`` that must be set.
        number: int64[s], the row of ``Events.numbers`` with its amount or label; any where it needs none.
        weight: int64[s], the row of ``Events.numbers`` that weighs a label; -1 counts events.
        cells: int64[s], number of cells.
        in_base: bool[s], whether it has base entries.
        cell_horizons: int64[s], as :attr:`tastemaker.features.layout.Layout.cell_horizons_us`.
        hops: int64[g], lengths of tiles.
        horizons: int64[g], how far back a read looks.
        members: bool[g, s], which slots have tiles of the group.
    """

    gives: _Ints
    merges: _Ints
    types: _Ints
    column: _Ints
    number: _Ints
    weight: _Ints
    cells: _Ints
    in_base: _Bools
    cell_horizons: _Ints
    hops: _Ints
    horizons: _Ints
    members: _Bools


class Texts(NamedTuple):
    """Texts of n events.

    Attributes:
        text: uint8[m], their UTF-8, one after the other.
        starts: int64[n + 1], where each begins.
    """

    text: _Bytes
    starts: _Ints


class HistoryEvents(NamedTuple):
    """A batch of n events.

    Attributes:
        at_us: int64[n], their times.
        values: int64[n], the bits of their values, of NaN for none.
        prices: int64[n], likewise.
        ids: their event ids.
        items: their items.
        types: their types.
        categories: their categories, empty for none.
        has_category: bool[n], whether there is one.
    """

    at_us: _Ints
    values: _Ints
    prices: _Ints
    ids: Texts
    items: Texts
    types: Texts
    categories: Texts
    has_category: _Bools
