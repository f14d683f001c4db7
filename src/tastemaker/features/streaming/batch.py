"""A batch of consumed events as columns, encoded once for all views."""

from collections.abc import Callable, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tastemaker import names
from tastemaker.events.contract import EVENT_TYPES
from tastemaker.features.keys import join_key
from tastemaker.features.layout import label_number
from tastemaker.features.semantics import DAY_US, MICROS, SUM_CAP
from tastemaker.features.streaming.consumed import ConsumedEvent
from tastemaker.features.streaming.kernel_types import Texts
from tastemaker.features.streaming.times import times_us

__all__ = ["COLUMNS", "TYPE_BITS", "Encoded", "EventBatch"]

_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]

TYPE_BITS: Final = {event_type: bit for bit, event_type in enumerate(EVENT_TYPES)}
# Columns that an event may lack, after one that it never lacks: the rows of EventBatch.present.
COLUMNS: Final = ("", names.USER_ID, names.SESSION_ID, names.ITEM_ID, names.CATEGORY, names.VALUE, names.PRICE)
_HOURS: Final = tuple(f"{hour:02d}" for hour in range(24))


class Encoded(NamedTuple):
    """A column of texts as numbers.

    Attributes:
        codes: int64[n], the place in ``values`` of each event's text; -1 where it has none.
        values: each text once.
    """

    codes: _Ints
    values: list[str]


class EventBatch:
    """Columns of some events; each is made when a view first needs it.

    Args:
        records: the events, with at most one per partition and offset.
    """

    def __init__(self, records: Sequence[ConsumedEvent]) -> None:
        self.events = [record.event for record in records]
        self.partitions: _Ints = np.array([record.partition for record in records], np.int64)
        self.offsets: _Ints = np.array([record.offset for record in records], np.int64)
        self.at_us: _Ints = times_us([event.occurred_at for event in self.events])
        arrivals = pa.array([record.ingested_us for record in records], pa.int64())
        # How long after it occurred each event arrived.
        self.delay_us: _Ints = arrivals.fill_null(0).to_numpy(zero_copy_only=False) - self.at_us
        self.delay_us[arrivals.is_null().to_numpy(zero_copy_only=False)] = 0
        self.types: _Ints = np.array(list(map(TYPE_BITS.__getitem__, self._column(names.TYPE))), np.int64)
        self._encoded: dict[str, Encoded] = {}
        self._numbers: dict[str, _Ints] = {}
        self._amounts: dict[str, npt.NDArray[np.float64]] = {}
        self._label_numbers: dict[str, list[int]] = {}
        self._keys: dict[tuple[str, ...], tuple[_Ints, int, Callable[[_Ints], list[str]]]] = {}
        self._texts: dict[str, Texts] = {}

    def __len__(self) -> int:
        return len(self.events)

    def _column(self, name: str) -> list[Any]:
        return list(map(attrgetter(name), self.events))

    def encoded(self, column: str) -> Encoded:
        """A column of texts: a label or a part of a key."""
        if column not in self._encoded:
            if column == names.TYPE:
                found = Encoded(self.types, list(EVENT_TYPES))
            elif column == "hour":
                found = Encoded(self.at_us % DAY_US // (DAY_US // 24), list(_HOURS))
            else:
                array = pa.array(self._column(column), pa.string()).dictionary_encode()
                codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
                found = Encoded(codes, array.dictionary.to_pylist())
            self._encoded[column] = found
        return self._encoded[column]

    @cached_property
    def present(self) -> _Bools:
        """bool[columns, n]: by row of :data:`COLUMNS`, which events have the column."""
        made: _Bools = np.ones((len(COLUMNS), len(self)), np.bool_)
        for row, column in enumerate(COLUMNS):
            if column in {names.VALUE, names.PRICE}:
                made[row] = ~np.isnan(self.amounts(column))
            elif column:
                made[row] = self.encoded(column).codes >= 0
        return made

    def amounts(self, column: str) -> npt.NDArray[np.float64]:
        """A column of amounts; NaN where there is none."""
        if column not in self._amounts:
            array = pa.array(self._column(column), pa.float64())
            self._amounts[column] = array.to_numpy(zero_copy_only=False).copy()  # writable, as compiled loops expect
        return self._amounts[column]

    def micros(self, column: str, squared: bool = False) -> _Ints:
        """A column of amounts, or of their squares, in whole micro-units; 0 where there is none."""
        name = f"{column}²" if squared else column
        if name not in self._numbers:
            amounts = np.nan_to_num(self.amounts(column))
            scaled = np.minimum(amounts * amounts * MICROS, float(SUM_CAP)) if squared else amounts * MICROS
            self._numbers[name] = np.rint(scaled).astype(np.int64)
        return self._numbers[name]

    def labels(self, column: str) -> _Ints:
        """The numbers of a column's labels; of no meaning where there is none."""
        name = f"label of {column}"
        if name not in self._numbers:
            numbers = np.array([*self.label_numbers(column), 0], np.int64)  # the last one stands for none
            self._numbers[name] = numbers[self.encoded(column).codes]
        return self._numbers[name]

    def label_numbers(self, column: str) -> list[int]:
        """The numbers of a column's distinct labels, as their texts are in :meth:`encoded`."""
        if column not in self._label_numbers:
            self._label_numbers[column] = list(map(label_number, self.encoded(column).values))
        return self._label_numbers[column]

    def keys(self, join_keys: tuple[str, ...]) -> tuple[_Ints, int, Callable[[_Ints], list[str]]]:
        """The entities that the events are about.

        Returns:
            int64[n], the entity of each event from 0, negative where it lacks a part; how many there are; and a
            function from such numbers to keys.
        """
        if join_keys not in self._keys:
            self._keys[join_keys] = self._single(*join_keys) if len(join_keys) == 1 else self._several(join_keys)
        return self._keys[join_keys]

    def _single(self, column: str) -> tuple[_Ints, int, Callable[[_Ints], list[str]]]:
        codes, _ = self.encoded(column)
        parts = self._parts(column)
        return codes, len(parts), lambda wanted: [parts[code] for code in wanted.tolist()]

    def _several(self, join_keys: tuple[str, ...]) -> tuple[_Ints, int, Callable[[_Ints], list[str]]]:
        parts = [self._parts(column) for column in join_keys]
        combined = np.zeros(len(self), np.int64)
        lacking = np.zeros(len(self), np.bool_)
        for column, values in zip(join_keys, parts, strict=True):
            codes, _ = self.encoded(column)
            lacking |= codes < 0
            combined = combined * max(len(values), 1) + codes
        combined[lacking] = -1
        # The distinct ones; where there are no parts to be had, the first of them stands for none.
        unique, codes = np.unique(combined, return_inverse=True)
        absent = int(bool(len(unique)) and unique[0] == -1)
        unique = unique[absent:]

        def names_of(wanted: _Ints) -> list[str]:
            rest, columns = unique[wanted], []
            for values in reversed(parts):
                columns.append([values[code] for code in (rest % max(len(values), 1)).tolist()])
                rest //= max(len(values), 1)
            return list(map(_SEPARATOR.join, zip(*reversed(columns), strict=True)))

        return codes.astype(np.int64) - absent, len(unique), names_of

    def _parts(self, column: str) -> list[str]:
        """The distinct values of a column as parts of a key."""
        values = self.encoded(column).values
        joined = "".join(values)
        if any(character in joined for character in _SPECIAL):
            return [join_key(value) for value in values]
        return values

    def texts(self, column: str) -> Texts:
        """A column as UTF-8, empty where there is none."""
        if column not in self._texts:
            array = pa.array(self._column(column), pa.large_string())
            _, starts, text = array.buffers()
            empty = np.zeros(0, np.uint8)
            self._texts[column] = Texts(
                empty if text is None else np.frombuffer(text, np.uint8).copy(),
                np.frombuffer(starts, np.int64)[: len(self) + 1].copy() if len(self) else np.zeros(1, np.int64),
            )
        return self._texts[column]


_SEPARATOR: Final = join_key(("", ""))
_SPECIAL: Final = ("\x1f", "\x1b", "\x00")
