"""Which event ids a Redis store has seen, and where first; each is remembered for one to two periods."""

import struct
from collections.abc import Sequence
from typing import Final

from tastemaker.features.stores.redis_keys import RedisKeys
from tastemaker.features.stores.redis_link import RedisLink
from tastemaker.features.stores.redis_scripts import ADD_SEEN

__all__ = ["PERIOD_US", "RedisSeen"]

# More than the seven days that Kafka keeps records by default: what can be read again is recognised.
PERIOD_US: Final = 31 * 86_400_000_000  # an id is kept for one to two of them: longer than events may be late
_PLACE: Final = struct.Struct(">iq")


class RedisSeen:
    """Event ids by their 16-byte digest.

    Args:
        link: to the server.
        keys: its names.
        now_us: the wall clock.
    """

    def __init__(self, link: RedisLink, keys: RedisKeys, now_us: int) -> None:
        self._link = link
        self._keys = keys
        self._period = now_us // PERIOD_US
        self._life_ms = 2 * PERIOD_US // 1000

    def register(self, digests: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int]) -> list[bool]:
        """As a transaction's; idempotent."""
        current = [self._keys.seen(digest, self._period) for digest in digests]
        last = [self._keys.seen(digest, self._period - 1) for digest in digests]
        places = [_PLACE.pack(*place) for place in zip(partitions, offsets, strict=True)]
        groups = self._link.groups(current)
        calls = [
            (
                [name for index in group for name in (current[index], last[index])],
                [self._life_ms, *(part for index in group for part in (digests[index], places[index]))],
            )
            for group in groups
        ]
        answers = [False] * len(digests)
        for group, first in zip(groups, self._link.call(ADD_SEEN, calls), strict=True):
            for index, place in zip(group, first, strict=True):
                answers[index] = place == places[index]
        return answers

    def correct(self, digests: Sequence[bytes]) -> None:
        """As a transaction's."""
        if digests:
            key = self._keys.corrections(self._period)
            self._link.run([("SADD", key, *digests), ("PEXPIRE", key, self._life_ms)])

    def corrected(self, digests: Sequence[bytes]) -> set[bytes]:
        """As a transaction's."""
        if not digests:
            return set()
        periods = [self._keys.corrections(period) for period in (self._period, self._period - 1)]
        sizes = self._link.run([("SCARD", key) for key in periods])
        answers = self._link.run([("SMISMEMBER", k, *digests) for k, n in zip(periods, sizes, strict=True) if n])
        return {digest for flags in answers for digest, flag in zip(digests, flags, strict=True) if flag}
