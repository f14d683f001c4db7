"""What is known of the items, aligned to their codes."""

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.evaluation.benchmark.tables import as_moments, read_ids, read_table

__all__ = ["CATEGORY", "PATH_SEPARATOR", "VECTOR", "read_catalogue", "same_kind"]

TITLE: Final = "title"
CATEGORY: Final = "category"
PRICE: Final = "price"
VECTOR: Final = "vector"
PATH_SEPARATOR: Final = " > "
_COLUMNS = (TITLE, CATEGORY, PRICE, names.CREATED_AT, VECTOR)


def same_kind(ids: pa.Array, others: pa.Array, where: str, reference: str) -> None:
    """Check that two columns of ids can be compared.

    Raises:
        DataError: one holds integers and the other strings.
    """
    if ids.type != others.type:
        words = ["integers" if pa.types.is_integer(column.type) else "strings" for column in (ids, others)]
        raise DataError(f"{where} holds {words[0]}, {reference} holds {words[1]}; give both as the same type")


def read_catalogue(path: Path, item_ids: pa.Array, times_are_numbers: bool | None) -> tuple[pa.Table, int]:
    """Read the items file.

    Args:
        path: ``item_id`` and any of ``title``, ``category`` (a string, or a list: the path from the top), ``price``,
            ``created_at``, ``vector`` (a list of numbers, all of one length). Other columns are left out.
        item_ids: the item of each code.
        times_are_numbers: whether the interactions' times are plain numbers; None when there are none.

    Returns:
        Row ``i`` describes item ``i``, null where the file has no such item; and how many items the file has rows for.

    Raises:
        DataError: an item has two rows, or a column cannot be used.
    """
    table = read_table(path, (names.ITEM_ID,), _COLUMNS)
    ids = read_ids(table[names.ITEM_ID], f"{path}: {names.ITEM_ID}")
    same_kind(ids, item_ids, f"{path}: {names.ITEM_ID}", "the train table")
    counts = pc.value_counts(ids)
    if len(counts) < len(ids):
        most = counts[int(np.argmax(counts.field("counts").to_numpy()))].as_py()
        raise DataError(f"{path}: {most['counts']} rows have the item_id {most['values']!r}; give each item one row")
    rows = pc.index_in(item_ids, value_set=ids)
    columns = {
        name: _column(name, table[name], f"{path}: {name}", times_are_numbers).take(rows)
        for name in _COLUMNS
        if name in table.column_names
    }
    if not columns:
        raise DataError(f"{path}: none of the columns {', '.join(_COLUMNS)} is there; without them leave --items out")
    return pa.table(columns), len(rows) - rows.null_count


def _column(
    name: str, column: pa.ChunkedArray, where: str, times_are_numbers: bool | None
) -> pa.ChunkedArray | pa.Array:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if name == VECTOR:
        return _vectors(column, where)
    if name == PRICE:
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise DataError(f"{where}: has the type {kind}; give numbers")
        return pc.cast(column, pa.float64(), safe=False)
    if name == names.CREATED_AT:
        return _created(column, where, times_are_numbers)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pc.binary_join(column.cast(pa.list_(pa.string())), PATH_SEPARATOR)
    if pa.types.is_nested(kind):
        raise DataError(f"{where}: has the type {kind}; give strings, or for a category a list of strings")
    return column.cast(pa.string())


def _created(column: pa.ChunkedArray, where: str, times_are_numbers: bool | None) -> pa.Array:
    known = pc.is_valid(column)
    found = np.full(len(column), np.nan)
    if column.null_count < len(column):
        moments, numbers = as_moments(column.filter(known), where)
        if times_are_numbers is not None and numbers != times_are_numbers:
            raise DataError(f"{where}: numbers here, times in the interactions, or the reverse; give both in one unit")
        found[known.to_numpy()] = moments
    return pa.array(found, from_pandas=True)


def _vectors(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    kind = column.type
    nested = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not nested or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise DataError(f"{where}: has the type {kind}; give lists of numbers")
    column = column.cast(pa.list_(pa.float32()))
    lengths = pc.unique(pc.list_value_length(column.drop_null()))
    if len(lengths) > 1:
        raise DataError(f"{where}: lists of {lengths[0]} and of {lengths[1]} numbers; give all the same length")
    numbers = pc.list_flatten(column)
    if numbers.null_count or not pc.all(pc.is_finite(numbers)).as_py():
        raise DataError(f"{where}: a list holds NaN, infinity or nothing; leave the whole vector empty instead")
    return column
