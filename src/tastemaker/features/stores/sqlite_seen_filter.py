"""In which buckets of seen event ids one may be: a blocked Bloom filter per bucket, asked for all buckets at once."""

from collections.abc import Collection
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["SeenFilters", "make_filter"]

_Words = npt.NDArray[np.uint64]

# One 64-bit word per id, of which five bits are set (Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom
# Filters, 2007). With two ids per word about one in three thousand unknown ids passes a bucket.
_WORD_BITS: Final = 15
_WORDS: Final = 1 << _WORD_BITS
_PROBES: Final = 5
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))  # odd: digests of tests are not random


def _hashed(digests: bytes) -> tuple[npt.NDArray[np.int64], _Words]:
    """The word and the bits of each digest."""
    halves = np.frombuffer(digests, "<u8").reshape(-1, 2)
    mixed = (halves[:, 0] ^ (halves[:, 1] * _MIX[1])) * _MIX[0]
    mixed ^= mixed >> np.uint64(29)
    again = mixed * _MIX[1]
    bits = np.zeros(len(mixed), np.uint64)
    for probe in range(_PROBES):
        bits |= np.uint64(1) << ((again >> np.uint64(34 + 6 * probe)) & np.uint64(63))
    return ((mixed * _MIX[0]) >> np.uint64(64 - _WORD_BITS)).astype(np.int64), bits


def make_filter(digests: bytes) -> bytes:
    """The filter of a bucket with these digests of 16 bytes each."""
    words, bits = _hashed(digests)
    made = np.zeros(_WORDS, np.uint64)
    np.bitwise_or.at(made, words, bits)
    return made.astype("<u8").tobytes()


class SeenFilters:
    """The filters of all buckets, 4 bytes per event id that is remembered."""

    def __init__(self) -> None:
        self._buckets: list[int] = []
        self._filters = np.zeros((_WORDS, 0), np.uint64)  # a word of all buckets lies together

    @property
    def buckets(self) -> list[int]:
        """Their numbers."""
        return list(self._buckets)

    def add(self, bucket: int, packed: bytes) -> None:
        """Know a bucket."""
        if len(self._buckets) == self._filters.shape[1]:
            larger = np.zeros((_WORDS, len(self._buckets) + max(4, len(self._buckets) // 4)), np.uint64)
            larger[:, : len(self._buckets)] = self._filters
            self._filters = larger
        self._filters[:, len(self._buckets)] = np.frombuffer(packed, "<u8")
        self._buckets.append(bucket)

    def keep(self, buckets: Collection[int]) -> None:
        """Forget all other buckets."""
        kept = [place for place, bucket in enumerate(self._buckets) if bucket in buckets]
        if len(kept) < len(self._buckets):
            self._filters = self._filters[:, kept]
            self._buckets = [self._buckets[place] for place in kept]

    def candidates(self, digests: bytes) -> list[tuple[int, int]]:
        """Number of a digest, and a bucket in which it may be: all that are, and a few that are not."""
        if not self._buckets:
            return []
        words, bits = _hashed(digests)
        used = self._filters[words, : len(self._buckets)]
        passed = (used & bits[:, None]) == bits[:, None]
        return [(int(number), self._buckets[place]) for number, place in np.argwhere(passed)]
