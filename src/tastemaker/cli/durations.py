"""Spans of time as a person writes them: ``90m``, ``12h``, ``400d``, ``8w``."""

import re
from datetime import timedelta
from typing import Final

from tastemaker.errors import DataError

__all__ = ["parse_duration"]

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
