"""Interaction tables as people have them, read into columns that are known to be sound."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from tastemaker import names
from tastemaker.errors import DataError

__all__ = [
    "EVENT_TYPE",
    "TIMESTAMP",
    "WEIGHT",
    "Interactions",
    "as_moments",
    "read_ids",
    "read_interactions",
    "read_table",
]

TIMESTAMP: Final = "timestamp"
EVENT_TYPE: Final = "event_type"
WEIGHT: Final = "weight"
_OPTIONAL: Final = (TIMESTAMP, EVENT_TYPE, WEIGHT)


@dataclass(frozen=True, eq=False)
class Interactions:
    """The rows of one file.

    Attributes:
        path: where they come from, for messages.
        users: ids, all integers or all strings.
        items: ids, all integers or all strings.
        times: float64 ``[n]``: seconds since 1970 where the column has times, else its numbers; None without.
        times_are_numbers: whether ``times`` are plain numbers of a unit that only the caller knows.
        types: strings ``[n]``; None without.
        weights: float32 ``[n]``, finite and above 0; None without.
    """

    path: Path
    users: pa.Array
    items: pa.Array
    times: npt.NDArray[np.float64] | None
    times_are_numbers: bool
    types: pa.Array | None
    weights: npt.NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.users)


def read_table(path: Path, required: tuple[str, ...], optional: tuple[str, ...] | None = None) -> pa.Table:
    """Read a Parquet or CSV file (``.csv``, ``.csv.gz``).

    Args:
        path: the file.
        required: columns that must be there.
        optional: columns that may be there; all others are not read. None: read all.

    Raises:
        DataError: the file is missing, unreadable or empty, or lacks a column or has it twice.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file; check the path")
    if path.is_dir():
        raise DataError(f"{path} is a directory; give one Parquet or CSV file")
    text = ".csv" in path.suffixes
    try:
        found = pyarrow.csv.read_csv(path) if text else None
        columns = found.column_names if found is not None else pq.read_schema(path).names
    except (pa.ArrowInvalid, OSError) as error:
        kind = "CSV" if text else "Parquet"
        raise DataError(f"{path}: cannot be read as {kind} ({error}); give a .parquet or a .csv file") from error
    missing = [name for name in required if name not in columns]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; it has {', '.join(columns) or 'none'}. Rename them.")
    wanted = [name for name in columns if optional is None or name in {*required, *optional}]
    twice = sorted({name for name in wanted if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the column {', '.join(twice)} is there more than once; keep one")
    try:
        table = pq.read_table(path, columns=wanted, partitioning=None) if found is None else found.select(wanted)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error}); write the file again") from error
    if not table.num_rows:
        raise DataError(f"{path}: the table has no rows; give one with interactions")
    return table


def read_interactions(path: Path) -> Interactions:
    """Read ``user_id``, ``item_id``, and what there is of ``timestamp``, ``event_type``, ``weight``.

    Raises:
        DataError: as :func:`read_table`, or a column holds what it must not; the message says what to do.
    """
    table = read_table(path, (names.USER_ID, names.ITEM_ID), _OPTIONAL)
    times, numbers = None, False
    if TIMESTAMP in table.column_names:
        times, numbers = as_moments(table[TIMESTAMP], f"{path}: {TIMESTAMP}")
    return Interactions(
        path=path,
        users=read_ids(table[names.USER_ID], f"{path}: {names.USER_ID}"),
        items=read_ids(table[names.ITEM_ID], f"{path}: {names.ITEM_ID}"),
        times=times,
        times_are_numbers=numbers,
        types=_types(table[EVENT_TYPE], path) if EVENT_TYPE in table.column_names else None,
        weights=_weights(table[WEIGHT], path) if WEIGHT in table.column_names else None,
    )


def read_ids(column: pa.ChunkedArray, where: str) -> pa.Array:
    """Ids as int64 or strings.

    Args:
        column: of a table.
        where: file and column, for messages.

    Raises:
        DataError: ids are missing, or are neither integers nor strings, or integers beyond 64 bits.
    """
    _no_nulls(column, where)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _flat(column.cast(pa.large_string()))
    if pa.types.is_integer(kind):
        try:
            return _flat(column.cast(pa.int64()))
        except pa.ArrowInvalid as error:
            raise DataError(f"{where}: an id does not fit into 64 bits with sign ({error}); give strings") from error
    remedy = " (a column with gaps turns into floats: drop its empty rows first)" if pa.types.is_floating(kind) else ""
    raise DataError(f"{where}: ids are integers or strings, not {kind}{remedy}; cast the column")


def as_moments(column: pa.ChunkedArray, where: str) -> tuple[npt.NDArray[np.float64], bool]:
    """Times as float64, and whether they were numbers; times become seconds since 1970.

    Raises:
        DataError: values are missing, not finite, or neither numbers nor times.
    """
    _no_nulls(column, where)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            column = pc.cast(column, pa.timestamp("us"))
        except pa.ArrowInvalid as error:
            raise DataError(f"{where}: text that is no ISO 8601 time ({error}); give numbers or times") from error
        kind = column.type
    if pa.types.is_date(kind):
        column = pc.cast(column, pa.timestamp("s"))
        kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        return _flat(column.cast(pa.int64())).to_numpy(zero_copy_only=False) / per_second, False
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise DataError(f"{where}: has the type {kind}; give numbers or times")
    found = _flat(pc.cast(column, pa.float64(), safe=False)).to_numpy(zero_copy_only=False)
    if not np.isfinite(found).all():
        raise DataError(f"{where}: {int((~np.isfinite(found)).sum()):,} values are NaN or infinite; drop those rows")
    return np.asarray(found, dtype=np.float64), True


def _types(column: pa.ChunkedArray, path: Path) -> pa.Array:
    _no_nulls(column, f"{path}: {EVENT_TYPE}")
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_floating(kind):
        raise DataError(f"{path}: {EVENT_TYPE} has the type {kind}; give strings such as view and purchase")
    return _flat(pc.cast(column, pa.large_string()))


def _weights(column: pa.ChunkedArray, path: Path) -> npt.NDArray[np.float32]:
    where = f"{path}: {WEIGHT}"
    _no_nulls(column, where)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)):
        raise DataError(f"{where}: has the type {column.type}; give numbers above 0")
    found = _flat(pc.cast(column, pa.float64(), safe=False)).to_numpy(zero_copy_only=False).astype(np.float32)
    wrong = ~(np.isfinite(found) & (found > 0))
    if wrong.any():
        raise DataError(
            f"{where}: {int(wrong.sum()):,} values are NaN, infinite, 0 or below, row {int(np.argmax(wrong))} first; "
            "a weight says how much an interaction counts: drop those rows or leave the column out"
        )
    return np.asarray(found, dtype=np.float32)


def _no_nulls(column: pa.ChunkedArray, where: str) -> None:
    if column.null_count:
        raise DataError(f"{where}: {column.null_count:,} of {len(column):,} values are missing; drop those rows")


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
