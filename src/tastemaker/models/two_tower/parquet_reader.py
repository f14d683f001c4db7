"""Histories from a Parquet table of any size, read in batches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.two_tower.columns import numbers_of

__all__ = ["CodedHistories", "histories_from_parquet"]

_ROWS = 500_000


@dataclass(frozen=True)
class CodedHistories:
    """Histories and what their codes mean.

    Attributes:
        histories: of all users, in the order of ``users``.
        items: distinct item ids, sorted; position ``i`` is item ``i``.
        users: distinct user ids, sorted.
    """

    histories: Histories
    items: pa.Array
    users: pa.Array


def histories_from_parquet(path: Path, *, batch_rows: int = _ROWS) -> CodedHistories:
    """Read interactions twice, once for the ids and once for the rows, and keep plain numbers only.

    Args:
        path: file with ``user_id``, ``item_id`` (integers or strings), optional ``timestamp`` (number or time),
            ``event_type`` (string) and ``weight``.
        batch_rows: rows that are in memory as Arrow data at one time.

    Raises:
        DataError: a column is missing, or has nulls or another type.
    """
    if not path.exists():
        raise DataError(f"{path} is not there")
    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    missing = {"user_id", "item_id"} - set(names)
    if missing:
        raise DataError(f"{path} has no column {', '.join(sorted(missing))}; it has {', '.join(names)}")
    keys = [name for name in ("user_id", "item_id", "event_type") if name in names]
    known = {key: _distinct(file, key, batch_rows, path) for key in keys}
    n = file.metadata.num_rows
    kinds: dict[str, Any] = {"user_id": np.int32, "item_id": np.int32, "event_type": np.int16}
    kinds |= {"timestamp": np.float64, "weight": np.float32}
    columns = {name: np.empty(n, dtype=kind) for name, kind in kinds.items() if name in names}
    at = 0
    for batch in file.iter_batches(batch_rows, columns=list(columns)):
        for name, values in columns.items():
            column = batch.column(name)
            if name in known:
                read = pc.index_in(column, value_set=known[name]).to_numpy(zero_copy_only=False)
            else:
                read = _numbers(column, name, path)
            values[at : at + len(column)] = read
        at += batch.num_rows
    histories = Histories.of(
        columns["user_id"],
        columns["item_id"],
        n_users=len(known["user_id"]),
        n_items=len(known["item_id"]),
        times=columns.get("timestamp"),
        weights=columns.get("weight"),
        types=columns.get("event_type"),
        type_names=known["event_type"].to_pylist() if "event_type" in known else (),
    )
    return CodedHistories(histories, known["item_id"], known["user_id"])


def _distinct(file: pq.ParquetFile, name: str, batch_rows: int, path: Path) -> pa.Array:
    """Sorted distinct values of a column."""
    found: pa.Array | None = None
    for batch in file.iter_batches(batch_rows, columns=[name]):
        column = batch.column(0)
        if column.null_count:
            raise DataError(f"column {name!r} of {path} has {column.null_count} empty values; every row needs one")
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        fresh = pc.unique(column)
        found = fresh if found is None else pc.unique(pa.concat_arrays([found, fresh]))
    if found is None:
        return pa.array([], type=pa.int64())
    return found.take(pc.array_sort_indices(found))


def _numbers(column: pa.Array, name: str, path: Path) -> npt.NDArray[np.float64]:
    if column.null_count:
        raise DataError(f"column {name!r} of {path} has {column.null_count} empty values; every row needs one")
    return numbers_of(column, f"column {name!r} of {path}")
