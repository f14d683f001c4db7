"""The platform's clock: real time, or real time moved by a fixed offset.

Historical data sets end years ago, while windows such as "purchases in the last 7 days" count from now.
A replay therefore moves the whole platform's clock to the end of the data and lets it run on from there;
every component reads the time here and nowhere else. In production the offset is zero.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["Clock", "from_us", "to_us", "wall_us"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Microseconds since the epoch of a timezone-aware datetime, exact.

    >>> to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (moment - _EPOCH) // _US


def from_us(us: int) -> datetime:
    """The UTC datetime of microseconds since the epoch, exact."""
    return _EPOCH + timedelta(microseconds=us)


def wall_us() -> int:
    """The machine's clock in microseconds since the epoch: for what expires, whatever the platform's time is."""
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells the platform's time, in UTC.

    Attributes:
        offset_us: microseconds added to the machine's clock; 0 in production.
    """

    offset_us: int = 0

    def now_us(self) -> int:
        """The current time in microseconds since the epoch."""
        return time.time_ns() // 1_000 + self.offset_us

    def now(self) -> datetime:
        """The current time as a UTC datetime."""
        return from_us(self.now_us())

    @classmethod
    def starting_at(cls, moment: datetime) -> "Clock":
        """A clock that says ``moment`` now and runs on from there."""
        return cls(to_us(moment) - time.time_ns() // 1_000)
