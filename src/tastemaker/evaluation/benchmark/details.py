"""What a model tells of itself, of any shape, as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tastemaker.evaluation.benchmark.charts import Point, curve_chart

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
        if len(value) > 2 and all(_is_number(one) for one in value):
            points = [Point("", float(place), float(one)) for place, one in enumerate(value)]
            return (
                curve_chart(points, title=title, x_name="place", y_name=title) + f"<small>{_plain_list(value)}</small>"
            )
        if value and all(isinstance(one, Mapping) for one in value):
            return _trade_off(value, title) + _table(value)
        return _plain_list(value)
    return escape(_plain(value))


def _trade_off(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """What accuracy is given for coverage, as a curve; nothing for rows of anything else."""
    if len(rows) < 2 or not all(_is_number(row.get("coverage")) and _is_number(row.get("ndcg")) for row in rows):
        return ""
    points = [Point("", float(row["coverage"]), float(row["ndcg"])) for row in rows]
    return curve_chart(points, title=title, x_name="coverage of the catalogue", y_name="NDCG")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
