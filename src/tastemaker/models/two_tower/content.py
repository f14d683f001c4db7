"""What is known of items besides their ids, as fixed-width numbers."""

import re
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.errors import DataError

__all__ = ["CATEGORY_BUCKETS", "TOKEN_BUCKETS", "Content", "ContentScale", "content_scale", "encode_content"]

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


@dataclass(frozen=True)
class ContentScale:
    """How numbers of items become inputs; a saved model keeps it, so that new items are read alike.

    Attributes:
        now: the moment of which ages are told; None leaves ages out.
        time_unit: that ages are divided by; 0 leaves ages out.
        price: mean and spread of the logarithm of prices.
        age: mean and spread of the logarithm of ages.
        width: of the vectors from outside; 0 without them.
    """

    now: float | None
    time_unit: float
    price: tuple[float, float]
    age: tuple[float, float]
    width: int


def content_scale(items: pa.Table, now: float | None, time_unit: float) -> ContentScale | None:
    """Look at what items have.

    Args:
        items: any of the columns ``title``, ``category`` (path with ``/``, ``>`` or ``|``), ``price``,
            ``created_at``, ``vector``.
        now: the moment of which ages are told, in the unit of ``created_at``; None leaves ages out.
        time_unit: that ages are divided by; 0 leaves ages out.

    Returns:
        None when no such column is there.

    Raises:
        DataError: vectors differ in length, or a price is no number.
    """
    if not set(_COLUMNS) & set(items.column_names):
        return None
    scale = ContentScale(now, time_unit, (0.0, 1.0), (0.0, 1.0), _vectors(items, None).shape[1])
    price, age = _log_price(items), _log_age(items, scale)
    return ContentScale(now, time_unit, _moments(price), _moments(age), scale.width)


def encode_content(items: pa.Table, scale: ContentScale) -> Content:
    """Encode the columns that are there.

    Args:
        items: see :func:`content_scale`.
        scale: of the items that the model is trained on.

    Raises:
        DataError: vectors are not of the model's length, or a price is no number.
    """
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
    numbers = [_standard(_log_price(items), scale.price), _standard(_log_age(items, scale), scale.age)]
    return Content(tokens, categories, np.concatenate(numbers, axis=1), _vectors(items, scale.width))


def _log_price(items: pa.Table) -> npt.NDArray[np.float64]:
    return np.log1p(np.maximum(_numbers(items, "price"), 0.0))


def _log_age(items: pa.Table, scale: ContentScale) -> npt.NDArray[np.float64]:
    if scale.now is None or scale.time_unit <= 0:
        return np.full(items.num_rows, np.nan)
    return np.log1p(np.maximum(scale.now - _numbers(items, "created_at"), 0.0) / scale.time_unit)


def _moments(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    spread = float(known.std()) if len(known) else 0.0
    return (float(known.mean()) if len(known) else 0.0), spread if spread > 0 else 1.0


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


def _standard(values: npt.NDArray[np.float64], moments: tuple[float, float]) -> npt.NDArray[np.float32]:
    """float32 ``[n, 2]``: values about 0 with spread 1, and whether there is one."""
    known = np.isfinite(values)
    scaled = np.where(known, (values - moments[0]) / moments[1], 0.0)
    return np.stack([scaled, known], axis=1).astype(np.float32)


def _vectors(items: pa.Table, width: int | None) -> npt.NDArray[np.float32]:
    """float32 ``[n, width]`` of unit length, 0 for items without one; the width is theirs when it is None."""
    n = items.num_rows
    if "vector" not in items.column_names:
        return np.zeros((n, width or 0), dtype=np.float32)
    column = items["vector"].combine_chunks()
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False))
    expected = int(lengths.max(initial=0)) if width is None else width
    if ((lengths != 0) & (lengths != expected)).any():
        found = sorted(set(lengths.tolist()))[:5]
        raise DataError(f"item column 'vector' has lengths {found}; all must have {expected}")
    vectors = np.zeros((n, expected), dtype=np.float32)
    flat = np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)
    vectors[lengths > 0] = flat.reshape(-1, max(expected, 1))[:, :expected]
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)
