"""The two small languages of the declarations: an aggregation's function, and the ``where`` tag."""

import re
from typing import Final, NamedTuple

from tastemaker.events.contract import EVENT_TYPES

__all__ = [
    "FUNCTIONS",
    "LABELS",
    "NUMBERS",
    "Call",
    "Function",
    "GrammarError",
    "parse_function",
    "parse_ratio",
    "parse_where",
]

_UNITS_US: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_WHERE: Final = re.compile(r"type\s*(?:=\s*('[^']*')|in\s*\(\s*((?:'[^']*'\s*,\s*)*'[^']*')\s*,?\s*\))", re.IGNORECASE)
_CALL: Final = re.compile(r"([a-z_]+)(?:\(\s*(\d+)\s*([smhd]?)\s*(?:,\s*(value)\s*)?\))?")
_RATIO: Final = re.compile(r"\s*(\w+)\s*/\s*(\w+)\s*")

NUMBERS: Final = ("value", "price")
"""Columns of an event that are amounts; neither is negative."""
LABELS: Final = ("item_id", "category", "session_id", "user_id", "type", "hour")
"""Columns of an event that are texts; ``hour`` is the hour of the day in UTC, "00" to "23"."""
_ANY: Final = ("event_id", "occurred_at", *NUMBERS, *(label for label in LABELS if label != "hour"))


class Function(NamedTuple):
    """What an aggregation's function takes and gives.

    Attributes:
        columns: event columns that it runs over; empty for a ratio, whose "column" names two features.
        dtype: type of its value; ``"column"`` follows the column, ``"list"`` is a list of it.
        windowed: whether it takes a ``time_window``; without one it covers the lifetime.
        example: how it is written.
    """

    columns: tuple[str, ...]
    dtype: str
    windowed: bool
    example: str


FUNCTIONS: Final[dict[str, Function]] = {
    "count": Function(_ANY, "int64", True, "count"),
    "sum": Function(NUMBERS, "float64", True, "sum"),
    "mean": Function(NUMBERS, "float64", True, "mean"),
    "min": Function(NUMBERS, "float64", True, "min"),
    "max": Function(NUMBERS, "float64", True, "max"),
    "stddev": Function(NUMBERS, "float64", True, "stddev"),
    "approx_distinct": Function(LABELS, "int64", True, "approx_distinct(1024)"),
    "top_k": Function(LABELS, "list[string]", True, "top_k(5) or top_k(5, value)"),
    "ratio": Function((), "float64", False, "ratio"),
    "time_since_last": Function(("occurred_at",), "float64", False, "time_since_last"),
    "time_since_first": Function(("occurred_at",), "float64", False, "time_since_first"),
    "mean_interval": Function(("occurred_at",), "float64", False, "mean_interval"),
    "decayed_count": Function(("event_id",), "float64", False, "decayed_count(60d)"),
    "decayed_sum": Function(NUMBERS, "float64", False, "decayed_sum(60d)"),
    "last": Function(("item_id", "type", "category", "occurred_at", "value", "price"), "column", False, "last"),
    "last_n": Function(("item_id", "type", "category", "occurred_at", "value", "price"), "list", False, "last_n(50)"),
}
_LONGEST_HALF_LIFE_US: Final = 366 * 86_400_000_000  # a state keeps a number per day until its weight is nothing
_ARGUMENTS: Final = {"approx_distinct": (16, 16_384), "top_k": (1, 100), "last_n": (1, 1000)}


class GrammarError(ValueError):
    """A text of a declaration does not parse; the message says what would."""


class Call(NamedTuple):
    """A function with its argument.

    Attributes:
        name: one of :data:`FUNCTIONS`.
        argument: length, cells, or the half-life in microseconds; 0 where there is none.
        by: the column that a ``top_k`` weighs by; empty for the number of events.
    """

    name: str
    argument: int = 0
    by: str = ""


def parse_function(text: str) -> Call:
    """Parse an aggregation's function.

    Raises:
        GrammarError: no such function, or a wrong argument.

    >>> parse_function("last_n(50)"), parse_function("top_k(5, value)")
    (Call(name='last_n', argument=50, by=''), Call(name='top_k', argument=5, by='value'))
    """
    match = _CALL.fullmatch(text.strip())
    name, number, unit, by = match.groups() if match else ("", None, None, None)
    if name not in FUNCTIONS:
        examples = ", ".join(function.example for function in FUNCTIONS.values())
        raise GrammarError(f"function {text!r} is not one that the engine executes; use {examples}")
    if by and name != "top_k":
        raise GrammarError(f"{text!r} weighs by {by}, which only top_k does, such as top_k(5, value)")
    if name in _ARGUMENTS:
        least, most = _ARGUMENTS[name]
        if number is None or unit or not least <= int(number) <= most:
            raise GrammarError(
                f"{text!r} needs a number from {least} to {most}, such as {FUNCTIONS[name].example.split(' ')[0]}"
            )
        return Call(name, int(number), by or "")
    if name.startswith("decayed_"):
        if number is None or not unit or int(number) == 0:
            raise GrammarError(f"{text!r} needs a half-life, such as {FUNCTIONS[name].example}")
        half_life_us = int(number) * _UNITS_US[unit]
        if half_life_us > _LONGEST_HALF_LIFE_US:
            raise GrammarError(f"{text!r} has too long a half-life; 366d is the longest")
        return Call(name, half_life_us)
    if number is not None:
        raise GrammarError(f"{name} takes no argument; windows are declared with time_window")
    return Call(name)


def parse_ratio(text: str) -> tuple[str, str]:
    """The two features that a ratio divides, as its aggregation's column names them.

    Raises:
        GrammarError: it is not of the form ``purchases_7d / views_7d``.

    >>> parse_ratio("purchases_7d / views_7d")
    ('purchases_7d', 'views_7d')
    """
    match = _RATIO.fullmatch(text)
    if not match:
        raise GrammarError(
            f"column {text!r} of a ratio names two features of the view, such as purchases_7d / views_7d"
        )
    return match[1], match[2]


def parse_where(text: str) -> tuple[str, ...]:
    """The event types that a ``where`` tag lets through, sorted; all of them for an empty text.

    Raises:
        GrammarError: it is not of the form ``type = 'purchase'`` or ``type in ('view', 'cart_add')``.

    >>> parse_where("type in ('view', 'cart_add')")
    ('cart_add', 'view')
    """
    if not text.strip():
        return tuple(sorted(EVENT_TYPES))
    match = _WHERE.fullmatch(text.strip())
    if not match:
        raise GrammarError(f"where {text!r} does not parse; write type = 'purchase' or type in ('view', 'cart_add')")
    types = re.findall(r"'([^']*)'", match[1] or match[2])
    unknown = sorted(set(types) - set(EVENT_TYPES))
    if unknown:
        raise GrammarError(f"where {text!r} names {unknown[0]!r}; event types are {', '.join(EVENT_TYPES)}")
    return tuple(sorted(set(types)))
