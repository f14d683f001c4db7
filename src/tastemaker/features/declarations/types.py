"""What a declared field is: its type, its default, its tags, whether its name can be a column."""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from tastemaker.features.declarations.error import DeclarationError

__all__ = ["check_name", "check_tags", "default_of", "dtype_of", "micros"]

_DTYPES: Final = {
    "INT64": "int64",
    "FLOAT64": "float64",
    "DOUBLE": "float64",
    "BOOL": "bool",
    "STRING": "string",
    "STRING_LIST": "list[string]",
    "INT64_LIST": "list[int64]",
    "DOUBLE_LIST": "list[float64]",
}
# Names that the queries use themselves.
_TAKEN: Final = frozenset({"key", "as_of_us", "at_us", "event_timestamp"})
_TRUTH: Final = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
_EXACT: Final = 2**53  # a plan keeps a default as a double, which holds whole numbers up to here exactly


def dtype_of(field: Any) -> str:
    """The plan's word for a Feast field's type; empty for a type that is not stored."""
    return _DTYPES.get(field.dtype.to_value_type().name, "")


def micros(duration: timedelta | None) -> int:
    """A duration in microseconds; none is 0."""
    return 0 if duration is None else duration // timedelta(microseconds=1)


def check_tags(view: str, tags: Mapping[str, str], misplaced: Mapping[str, str], part: str = "") -> None:
    """Refuse tags that mean something elsewhere and would be ignored here; all others are for people.

    Args:
        view: name of the view.
        tags: of the view, or of a field.
        misplaced: by tag, what to do instead.
        part: name of the field; empty for the view.

    Raises:
        DeclarationError: naming view, field and remedy.
    """
    for tag, remedy in misplaced.items():
        if tag in tags:
            raise DeclarationError(view, f"tag {tag!r} would have no effect here; {remedy}", part=part)


def check_name(view: str, name: str) -> None:
    """Refuse a name that cannot be a column of a query.

    Raises:
        DeclarationError: naming view and field.
    """
    import duckdb

    reserved = name.lower() in _TAKEN or duckdb.execute(
        "SELECT count(*) FROM duckdb_keywords() WHERE keyword_category = 'reserved' AND keyword_name = ?",
        [name.lower()],
    ).fetchall() != [(0,)]
    if reserved or not (name.isascii() and name.isidentifier()):
        raise DeclarationError(
            view, "this cannot be a column's name; use letters, digits and _, and no word of SQL", part=name
        )


def default_of(view: str, field: Any, dtype: str, otherwise: float | str | None) -> float | str | None:
    """The default of a field: its tag ``default``, else ``otherwise``.

    Raises:
        DeclarationError: the tag does not fit the type.
    """
    text = field.tags.get("default")
    if text is None:
        return otherwise
    if dtype.startswith("list"):
        raise DeclarationError(view, "a list that is not known is empty; remove its default", part=field.name)
    if dtype == "string":
        return str(text)
    try:
        number = _TRUTH[text.lower()] if dtype == "bool" else float(text)
    except (KeyError, ValueError) as error:
        kind = "true or false" if dtype == "bool" else "number"
        raise DeclarationError(view, f"default {text!r} is no {kind}", part=field.name) from error
    if dtype == "float64" and math.isnan(number):
        return None
    if not math.isfinite(number):
        raise DeclarationError(
            view, f"default {text!r} is not finite; use a number, or NaN of a float", part=field.name
        )
    if dtype == "int64" and (not number.is_integer() or abs(number) > _EXACT):
        raise DeclarationError(view, f"default {text!r} is no whole number of at most 2**53", part=field.name)
    return number
