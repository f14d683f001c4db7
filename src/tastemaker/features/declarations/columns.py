"""Compile the fields of a batch view: columns of its table."""

from typing import Any, Final

import pyarrow as pa

from tastemaker.features.declarations.error import DeclarationError
from tastemaker.features.declarations.types import check_name, check_tags, default_of, dtype_of
from tastemaker.features.plan import FeatureSpec
from tastemaker.lake.tables import SCHEMAS

__all__ = ["AGE", "table_columns"]

AGE: Final = "age"
"""Function of a feature that is the days since a time column, as of the read."""

_STORED: Final = {
    "int64": (pa.int32(), pa.int64()),
    "float64": (pa.float64(), pa.int32(), pa.int64()),
    "bool": (pa.bool_(),),
    "string": (pa.string(), pa.list_(pa.string())),
    "list[string]": (pa.list_(pa.string()),),
    "list[int64]": (pa.list_(pa.int64()),),
    "list[float64]": (pa.list_(pa.float64()),),
}
_OF_EVENTS: Final = {"where": "it filters events, and a batch view has rows of a table"}
_OTHERWISE: Final[dict[str, float | str | None]] = {"int64": 0, "bool": 0, "string": ""}


def table_columns(view: Any, fields: list[Any], table: str) -> list[FeatureSpec]:
    """The features of a batch view, in the order of its fields.

    Tag ``column`` names the table's column where it is not the field's name; a list of texts as a String is their
    path, joined with ``/``. Tag ``since`` names a time column, and the value is the days since then.

    Raises:
        DeclarationError: naming view, field and remedy.
    """
    schema = SCHEMAS[table]
    source = view.batch_source
    check_tags(view.name, view.tags, _OF_EVENTS)
    for time in filter(None, (source.timestamp_field, source.created_timestamp_column)):
        if time not in schema.names or not pa.types.is_timestamp(schema.field(time).type):
            raise DeclarationError(view.name, f"its source's time {time!r} is no time column of the lake table {table}")
    if not fields:
        raise DeclarationError(view.name, "it has no features; give it a schema")
    return [_column(view, field, table) for field in fields]


def _column(view: Any, field: Any, table: str) -> FeatureSpec:
    check_name(view.name, field.name)
    check_tags(view.name, field.tags, _OF_EVENTS, field.name)
    dtype = dtype_of(field)
    if not dtype:
        raise DeclarationError(
            view.name,
            f"type {field.dtype} is not stored; use Int64, Float64, Bool, String, or an Array of Int64, Float64 or"
            " String",
            part=field.name,
        )
    since = field.tags.get("since")
    column = since or field.tags.get("column", field.name)
    schema = SCHEMAS[table]
    if column not in schema.names:
        raise DeclarationError(
            view.name,
            f"the lake table {table} has no column {column}; it has {', '.join(schema.names)}. Where field and column"
            " differ, say tags={'column': ...}",
            part=field.name,
        )
    found = schema.field(column).type
    if since:
        if dtype != "float64" or not pa.types.is_timestamp(found):
            raise DeclarationError(
                view.name, f"the days since {since} need a time column and dtype=Float64", part=field.name
            )
    elif found not in _STORED[dtype]:
        hint = f"; for its age, say tags={{'since': '{column}'}}" if pa.types.is_timestamp(found) else ""
        raise DeclarationError(
            view.name, f"column {column} is {found}, which does not fit the type {field.dtype}{hint}", part=field.name
        )
    return FeatureSpec(
        name=field.name,
        dtype=dtype,
        column=column,
        function=AGE if since else "",
        default=default_of(view.name, field, dtype, _OTHERWISE.get(dtype)),
        description=field.description,
    )
