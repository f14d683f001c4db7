"""Spans of time as a person writes them: ``90m``, ``12h``, ``400d``, ``8w``; and moments."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from tastemaker.errors import DataError

__all__ = ["age_text", "parse_duration", "parse_moment"]

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """A positive span of time.

    >>> parse_duration("36h")
    datetime.timedelta(days=1, seconds=43200)

    Raises:
        DataError: it is none.
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([smhdw])\s*", text)
    try:
        span = timedelta(**{_UNITS[found[2]]: float(found[1])}) if found else timedelta()
    except OverflowError:
        span = timedelta()
    if span <= timedelta():
        raise DataError(f"{text!r} is no span of time; write a number and a unit, such as 90m, 12h, 400d or 8w")
    return span


def parse_moment(text: str, now: datetime) -> datetime:
    """A moment until now: so long ago, or a date with or without a time, UTC unless it says otherwise.

    >>> parse_moment("2h", datetime(2011, 12, 9, 12, tzinfo=UTC)).isoformat()
    '2011-12-09T10:00:00+00:00'
    >>> parse_moment("2011-12-01 08:30", datetime(2011, 12, 9, 12, tzinfo=UTC)).isoformat()
    '2011-12-01T08:30:00+00:00'

    Args:
        text: what the person wrote.
        now: the platform's time.

    Raises:
        DataError: it is neither, or later than now.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return now - parse_duration(text)
        except (DataError, OverflowError) as error:
            raise DataError(
                f"{text!r} is no moment; write how long ago, such as 90m or 7d, or a time in UTC, such as"
                f" {now:%Y-%m-%dT%H:%M}"
            ) from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment > now:
        raise DataError(f"{text} is later than the platform's clock, which says {now:%Y-%m-%d %H:%M:%S} UTC")
    return moment


def age_text(age: timedelta) -> str:
    """How long ago, in the largest unit of which there is one or more.

    >>> age_text(timedelta(seconds=90)), age_text(timedelta(days=3, hours=5)), age_text(timedelta(0))
    ('1 min', '3 d', '0 s')
    """
    seconds = max(int(age.total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
