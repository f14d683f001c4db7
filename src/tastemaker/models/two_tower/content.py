"""What is known of items besides their ids, as fixed-width numbers."""

import re
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tastemaker.errors import DataError

__all__ = ["CATEGORY_BUCKETS", "TOKEN_BUCKETS", "Content", "encode_content"]

TOKEN_BUCKETS: Final = 8_192
CATEGORY_BUCKETS: Final = 1_024
_TOKENS, _CATEGORIES = 12, 3
_WORD: Final = re.compile(r"\w+")
_COLUMNS: Final = ("title", "category", "price", "created_at", "vector")


@dataclass(frozen=True)
class Content:
    """Content of ``n`` items.

    Attributes:
        tokens: int32 ``[n, 12]``, hashed title words, 0 as padding.
        categories: int32 ``[n, 3]``, hashed prefixes of the category path, 0 as padding.
        numbers: float32 ``[n, 4]``: standardised log price, whether there is one, log age, whether there is one.
        vector: float32 ``[n, width]``, given from outside, of unit length; width 0 without one.
    """

    tokens: npt.NDArray[np.int32]
    categories: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.float32]
    vector: npt.NDArray[np.float32]


def encode_content(items: pa.Table, now: float | None, time_unit: float) -> Content | None:
    """Encode the columns that are there.

    Args:
        items: any of the columns ``title``, ``category`` (path with ``/`` or ``>``), ``price``, ``created_at``,
            ``vector``; row ``i`` is item ``i``.
        now: the moment of which ages are told, in the unit of ``created_at``; None leaves ages out.
        time_unit: that ages are divided by; 0 leaves ages out.

    Returns:
        None when no such column is there.

    Raises:
        DataError: vectors differ in length, or a price is no number.
    """
    if not set(_COLUMNS) & set(items.column_names):
        return None
    n = items.num_rows
    tokens = np.zeros((n, _TOKENS), dtype=np.int32)
    for row, title in enumerate(_texts(items, "title")):
        words = [_bucket(word, TOKEN_BUCKETS) for word in _WORD.findall(title.lower())[:_TOKENS]]
        tokens[row, : len(words)] = words
    categories = np.zeros((n, _CATEGORIES), dtype=np.int32)
    for row, path in enumerate(_texts(items, "category")):
        parts = [part.strip().lower() for part in re.split(r"[/>|]", path) if part.strip()][:_CATEGORIES]
        # Every prefix of the path, so that a new leaf shares its parents.
        prefixes = [_bucket("/".join(parts[: depth + 1]), CATEGORY_BUCKETS) for depth in range(len(parts))]
        categories[row, : len(parts)] = prefixes
    price = np.log1p(np.maximum(_numbers(items, "price"), 0.0))
    created = _numbers(items, "created_at")
    age = np.full(n, np.nan)
    if now is not None and time_unit > 0:
        age = np.log1p(np.maximum(now - created, 0.0) / time_unit)
    numbers = np.concatenate([_standard(price), _standard(age)], axis=1)
    return Content(tokens, categories, numbers, _vectors(items))


def _bucket(text: str, buckets: int) -> int:
    # CRC-32 is the same in every process and version, which Python's hash is not.
    return 1 + zlib.crc32(text.encode()) % buckets


def _texts(items: pa.Table, name: str) -> list[str]:
    if name not in items.column_names:
        return []
    return ["" if value is None else str(value) for value in items[name].to_pylist()]


def _numbers(items: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """float64 ``[n]``, NaN where nothing is known."""
    if name not in items.column_names:
        return np.full(items.num_rows, np.nan)
    column = items[name]
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"item column {name!r} of type {column.type} does not convert to numbers: {error}") from error


def _standard(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """float32 ``[n, 2]``: values about 0 with spread 1, and whether there is one."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros((len(values), 2), dtype=np.float32)
    middle, spread = values[known].mean(), values[known].std()
    scaled = np.where(known, (values - middle) / (spread if spread > 0 else 1.0), 0.0)
    return np.stack([scaled, known], axis=1).astype(np.float32)


def _vectors(items: pa.Table) -> npt.NDArray[np.float32]:
    n = items.num_rows
    if "vector" not in items.column_names:
        return np.zeros((n, 0), dtype=np.float32)
    column = items["vector"].combine_chunks()
    lengths = np.asarray(column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False))
    width = int(lengths.max(initial=0))
    if ((lengths != 0) & (lengths != width)).any():
        raise DataError(f"item column 'vector' has vectors of different lengths: {sorted(set(lengths.tolist()))[:5]}")
    vectors = np.zeros((n, width), dtype=np.float32)
    vectors[lengths > 0] = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32).reshape(-1, width)
    return np.asarray(
        vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32
    )  # fmt: skip
