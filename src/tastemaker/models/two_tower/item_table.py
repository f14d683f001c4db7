"""Facts of items from the columns of a table."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.errors import DataError
from tastemaker.models.two_tower.columns import numbers_of
from tastemaker.models.two_tower.content import ContentFacts

__all__ = ["facts_of_table"]

_COLUMNS: Final = ("title", "category", "price", "created_at", "vector")


def facts_of_table(items: pa.Table) -> ContentFacts | None:
    """Read the columns that are there.

    Args:
        items: any of the columns ``title``, ``category`` (path with ``/``, ``>`` or ``|``), ``price``,
            ``created_at``, ``vector``.

    Returns:
        None when no such column is there.

    Raises:
        DataError: vectors differ in length, or a price is no number.
    """
    if not set(_COLUMNS) & set(items.column_names):
        return None
    return ContentFacts(
        titles=_texts(items, "title"),
        categories=_texts(items, "category"),
        prices=_numbers(items, "price"),
        created=_numbers(items, "created_at"),
        vectors=_vectors(items),
    )


def _texts(items: pa.Table, name: str) -> list[str]:
    if name not in items.column_names:
        return [""] * items.num_rows
    return ["" if value is None else str(value) for value in items[name].to_pylist()]


def _numbers(items: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """float64 ``[n]``, NaN where nothing is known."""
    if name not in items.column_names:
        return np.full(items.num_rows, np.nan)
    return numbers_of(items[name], f"item column {name!r}")


def _vectors(items: pa.Table) -> npt.NDArray[np.float32]:
    """float32 ``[n, width]``, 0 for items without one."""
    if "vector" not in items.column_names:
        return np.zeros((items.num_rows, 0), dtype=np.float32)
    column = items["vector"].combine_chunks()
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False))
    width = int(lengths.max(initial=0))
    if ((lengths != 0) & (lengths != width)).any():
        raise DataError(f"item column 'vector' has lengths {sorted(set(lengths.tolist()))[:5]}; all must have {width}")
    vectors = np.zeros((items.num_rows, width), dtype=np.float32)
    flat = np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
    vectors[lengths > 0] = flat.reshape(-1, max(width, 1))[:, :width]
    return vectors
