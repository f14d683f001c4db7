"""What an item tower sees of an item besides its id: title words, category path and price, as fixed-width numbers."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from tastemaker.events.item import Item

__all__ = ["ContentParameters", "ItemContent", "encode_items"]

_WORD: Final = re.compile(r"\w+")


class ContentParameters(BaseModel):
    """How content becomes numbers; a release stores these, since its towers only fit this encoding.

    Attributes:
        token_buckets: title words hash into 1 … token_buckets; 0 is padding.
        category_buckets: likewise for every prefix of a category path, so that a new leaf shares its parents.
        n_tokens: title words kept per item.
        n_categories: category prefixes kept per item, from the root.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    token_buckets: int = Field(default=4_096, ge=1)
    category_buckets: int = Field(default=512, ge=1)
    n_tokens: int = Field(default=8, ge=1)
    n_categories: int = Field(default=3, ge=1)


@dataclass(frozen=True)
class ItemContent:
    """Content of ``n`` items.

    Attributes:
        tokens: int32 ``[n, n_tokens]``, 0 as padding.
        categories: int32 ``[n, n_categories]``, 0 as padding.
        log_price: float32 ``[n]``, ``log(1 + price)``; 0 without a price.
        has_price: float32 ``[n]``, 1 with a price.
    """

    tokens: npt.NDArray[np.int32]
    categories: npt.NDArray[np.int32]
    log_price: npt.NDArray[np.float32]
    has_price: npt.NDArray[np.float32]


def _bucket(text: str, buckets: int) -> int:
    # CRC-32 is the same in every process and version, which Python's hash is not.
    return 1 + zlib.crc32(text.encode()) % buckets


def encode_items(items: Sequence[Item | None], parameters: ContentParameters) -> ItemContent:
    """Encode items; one that is not known (None) has no words, no category and no price."""
    n = len(items)
    tokens = np.zeros((n, parameters.n_tokens), dtype=np.int32)
    categories = np.zeros((n, parameters.n_categories), dtype=np.int32)
    log_price = np.zeros(n, dtype=np.float32)
    has_price = np.zeros(n, dtype=np.float32)
    for row, item in enumerate(items):
        if item is None:
            continue
        words = _WORD.findall(item.title.lower())[: parameters.n_tokens]
        tokens[row, : len(words)] = [_bucket(word, parameters.token_buckets) for word in words]
        depth = min(len(item.category), parameters.n_categories)
        categories[row, :depth] = [
            _bucket("/".join(item.category[: level + 1]).lower(), parameters.category_buckets) for level in range(depth)
        ]
        if item.price is not None:
            log_price[row], has_price[row] = np.log1p(item.price), 1.0
    return ItemContent(tokens, categories, log_price, has_price)
