"""What a model tells of itself, of any shape, as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tastemaker.evaluation.benchmark.charts import line_chart

__all__ = ["details"]


def details(value: Any, title: str = "") -> str:
    """Nested JSON for reading: numbers in a row as a curve, rows of the same fields as a table.

    Args:
        value: mappings, lists and plain values.
        title: what it is.
    """
    if isinstance(value, Mapping):
        rows = "".join(f"<li><b>{escape(str(key))}</b> {details(inner, str(key))}</li>" for key, inner in value.items())
        return f"<ul>{rows}</ul>"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) > 2 and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
            return line_chart([float(one) for one in value], title=title) + f"<small>{_plain_list(value)}</small>"
        if value and all(isinstance(one, Mapping) for one in value):
            return _table(value)
        return _plain_list(value)
    return escape(_plain(value))


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    head = "".join(f"<th>{escape(str(column))}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_plain(row.get(column)))}</td>" for column in columns) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _plain_list(values: Sequence[Any]) -> str:
    return escape(", ".join(_plain(value) for value in values))


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(inner) for inner in value)
    return f"{value:.5g}" if isinstance(value, float) else str(value)
