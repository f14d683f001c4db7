"""What is known of items besides their ids, as fixed-width numbers."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError

__all__ = [
    "CATEGORY_BUCKETS",
    "TOKEN_BUCKETS",
    "Content",
    "ContentFacts",
    "ContentScale",
    "content_scale",
    "encode_content",
]

TOKEN_BUCKETS: Final = 8_192
CATEGORY_BUCKETS: Final = 1_024
_TOKENS, _CATEGORIES = 12, 3
_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, eq=False)
class ContentFacts:
    """What is known of ``n`` items, column by column.

    Attributes:
        titles: empty where there is none.
        categories: paths from the root with ``/``, ``>`` or ``|``; empty where there is none.
        prices: float64 ``[n]``, NaN where there is none.
        created: float64 ``[n]``, when each item came, in the unit of the interactions' times; NaN where not known.
        vectors: float32 ``[n, width]``, given from outside, of any length, 0 where there is none; width 0 without any.
    """

    titles: Sequence[str]
    categories: Sequence[str]
    prices: npt.NDArray[np.float64]
    created: npt.NDArray[np.float64]
    vectors: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.titles)


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


def content_scale(facts: ContentFacts, now: float | None, time_unit: float) -> ContentScale:
    """Look at what items have.

    Args:
        facts: of the items that the model is trained on.
        now: the moment of which ages are told, in the unit of ``created``; None leaves ages out.
        time_unit: that ages are divided by; 0 leaves ages out.
    """
    scale = ContentScale(now, time_unit, (0.0, 1.0), (0.0, 1.0), facts.vectors.shape[1])
    price, age = _log_price(facts), _log_age(facts, scale)
    return ContentScale(now, time_unit, _moments(price), _moments(age), scale.width)


def encode_content(facts: ContentFacts, scale: ContentScale) -> Content:
    """Encode items.

    Args:
        facts: of any items.
        scale: of the items that the model is trained on.

    Raises:
        DataError: vectors are not of the model's length.
    """
    n = len(facts)
    tokens = np.zeros((n, _TOKENS), dtype=np.int32)
    for row, title in enumerate(facts.titles):
        words = [_bucket(word, TOKEN_BUCKETS) for word in _WORD.findall(title.lower())[:_TOKENS]]
        tokens[row, : len(words)] = words
    categories = np.zeros((n, _CATEGORIES), dtype=np.int32)
    for row, path in enumerate(facts.categories):
        parts = [part.strip().lower() for part in re.split(r"[/>|]", path) if part.strip()][:_CATEGORIES]
        # Every prefix of the path, so that a new leaf shares its parents.
        prefixes = [_bucket("/".join(parts[: depth + 1]), CATEGORY_BUCKETS) for depth in range(len(parts))]
        categories[row, : len(parts)] = prefixes
    numbers = [_standard(_log_price(facts), scale.price), _standard(_log_age(facts, scale), scale.age)]
    return Content(tokens, categories, np.concatenate(numbers, axis=1), _unit(facts.vectors, n, scale.width))


def _log_price(facts: ContentFacts) -> npt.NDArray[np.float64]:
    return np.log1p(np.maximum(facts.prices, 0.0))


def _log_age(facts: ContentFacts, scale: ContentScale) -> npt.NDArray[np.float64]:
    if scale.now is None or scale.time_unit <= 0:
        return np.full(len(facts), np.nan)
    return np.log1p(np.maximum(scale.now - facts.created, 0.0) / scale.time_unit)


def _moments(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    spread = float(known.std()) if len(known) else 0.0
    return (float(known.mean()) if len(known) else 0.0), spread if spread > 0 else 1.0


def _bucket(text: str, buckets: int) -> int:
    # CRC-32 is the same in every process and version, which Python's hash is not.
    return 1 + zlib.crc32(text.encode()) % buckets


def _standard(values: npt.NDArray[np.float64], moments: tuple[float, float]) -> npt.NDArray[np.float32]:
    """float32 ``[n, 2]``: values about 0 with spread 1, and whether there is one."""
    known = np.isfinite(values)
    scaled = np.where(known, (values - moments[0]) / moments[1], 0.0)
    return np.stack([scaled, known], axis=1).astype(np.float32)


def _unit(vectors: npt.NDArray[np.float32], n: int, width: int) -> npt.NDArray[np.float32]:
    """float32 ``[n, width]`` of unit length, 0 for items without a vector."""
    if not vectors.shape[1]:
        return np.zeros((n, width), dtype=np.float32)
    if vectors.shape[1] != width:
        raise DataError(f"item vectors have length {vectors.shape[1]}, the model was trained with {width}")
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)
