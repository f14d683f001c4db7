"""How much a worker holds in memory."""

from typing import Final, NamedTuple

__all__ = ["Bounds", "bounds_for"]

_CODE_BYTES: Final = 500 * 2**20  # the interpreter, libraries, compiled kernels, the page cache, what a batch needs
_EVENT_BYTES: Final = 1_500  # a decoded event of 250 bytes, with its row of the lake
_UNITS: Final = 9  # of events: see bounds_for


class Bounds(NamedTuple):
    """What a worker holds in memory at most; each may be exceeded by one poll.

    Attributes:
        poll: records of one poll.
        batch: records of one transaction of the online state.
        backlog_records: decoded records that wait for the online state.
        backlog_bytes: bytes of their values; the same again may wait for the lake.
        flush_rows: rows of one append to the lake; while one is written, twice as many may wait.
        flush_s: seconds that a row waits for others at most.
        cache_bytes: decoded states that are kept at hand.
    """

    poll: int = 10_000
    batch: int = 20_000
    backlog_records: int = 40_000
    backlog_bytes: int = 32 * 2**20
    flush_rows: int = 40_000
    flush_s: float = 1.0
    cache_bytes: int = 256 * 2**20


def bounds_for(memory_mb: int) -> Bounds:
    """Bounds that keep a worker's process within so many MiB.

    What its code leaves goes two fifths to the states at hand, as much to events on their way, and the rest to the
    states of the batch at work. Of the events, one part of nine is that batch, two wait for it, two are being written
    to the lake and four wait for that.

    >>> bounds_for(1024).batch
    16280
    """
    free = max(memory_mb * 2**20 - _CODE_BYTES, 2**25)
    unit = int(free * 0.4 / _EVENT_BYTES / _UNITS)
    return Bounds(
        poll=max(unit // 2, 500),
        batch=unit,
        backlog_records=2 * unit,
        backlog_bytes=free // 20,
        flush_rows=2 * unit,
        cache_bytes=free * 2 // 5,
    )
