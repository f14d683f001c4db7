"""The two small languages of the declarations: an aggregation's function, and the ``where`` tag."""

import re
from typing import Final, NamedTuple

from tastemaker.events.contract import EVENT_TYPES

__all__ = ["FUNCTIONS", "Call", "GrammarError", "parse_function", "parse_where"]

_UNITS_US: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_WHERE: Final = re.compile(r"type\s*(?:=\s*('[^']*')|in\s*\(\s*((?:'[^']*'\s*,\s*)*'[^']*')\s*,?\s*\))", re.IGNORECASE)
_CALL: Final = re.compile(r"([a-z_]+)(?:\(\s*(\d+)\s*([smhd]?)\s*\))?")

# Function -> the event columns it takes, and the type of its value.
FUNCTIONS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "count": (("event_id",), "int64"),
    "sum": (("value",), "float64"),
    "time_since_last": (("occurred_at",), "float64"),
    "decayed_count": (("event_id",), "float64"),
    "last_n": (("item_id", "type", "occurred_at"), "list"),
}


class GrammarError(ValueError):
    """A text of a declaration does not parse; the message says what would."""


class Call(NamedTuple):
    """A function with its argument: a number for ``last_n``, microseconds for ``decayed_count``."""

    name: str
    argument: int


def parse_function(text: str) -> Call:
    """Parse an aggregation's function.

    Raises:
        GrammarError: no such function, or a wrong argument.

    >>> parse_function("last_n(50)"), parse_function("count")
    (Call(name='last_n', argument=50), Call(name='count', argument=0))
    """
    match = _CALL.fullmatch(text.strip())
    name, number, unit = match.groups() if match else ("", None, None)
    if name not in FUNCTIONS:
        raise GrammarError(
            f"function {text!r} is not one that the engine executes;"
            " use count, sum, time_since_last, decayed_count(60d) or last_n(50)"
        )
    if name == "last_n":
        if number is None or unit or not 1 <= int(number) <= 1000:
            raise GrammarError(f"{text!r} needs a length from 1 to 1000, such as last_n(50)")
        return Call(name, int(number))
    if name == "decayed_count":
        if number is None or not unit or int(number) == 0:
            raise GrammarError(f"{text!r} needs a half-life, such as decayed_count(60d)")
        return Call(name, int(number) * _UNITS_US[unit])
    if number is not None:
        raise GrammarError(f"{name} takes no argument; windows are declared with time_window")
    return Call(name, 0)


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
