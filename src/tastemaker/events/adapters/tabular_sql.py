"""DuckDB expressions for mapped columns: text, times and JSON objects that never fail but become NULL."""

from collections.abc import Mapping
from typing import Final

import msgspec

from tastemaker.events.adapters.source import identifier, quoted
from tastemaker.events.adapters.tabular_mapping import CONSTANT

__all__ = ["IN_RANGE", "object_sql", "text_sql", "time_sql"]

# What the event contract and the lake can hold; appended to a time's expression.
IN_RANGE: Final = "BETWEEN TIMESTAMPTZ '1970-01-01 00:00:00+00' AND TIMESTAMPTZ '9999-01-01 00:00:00+00'"

_US_PER_UNIT: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
_NUMBER: Final = r"^[+-]?[0-9]+(\.[0-9]+)?$"


def text_sql(columns: Mapping[str, str], types: Mapping[str, str], field: str) -> str:
    """SQL of a field as trimmed text; NULL when it is empty or not mapped."""
    column = columns.get(field)
    if column is None:
        return "NULL::VARCHAR"
    if column.startswith(CONSTANT):
        return f"{quoted(column[1:])}::VARCHAR"
    name = identifier(column)
    if types[column] in {"DOUBLE", "FLOAT"}:  # ids that had gaps became floats: 17850.0 is 17850
        whole = f"CASE WHEN {name} = trunc({name}) THEN TRY_CAST({name} AS HUGEINT)::VARCHAR END"
        return f"nullif(coalesce({whole}, {name}::VARCHAR), 'nan')"
    return f"nullif(trim({name}::VARCHAR), '')"


def time_sql(columns: Mapping[str, str], types: Mapping[str, str], field: str, timestamp: str) -> str:
    """SQL of a field as TIMESTAMPTZ; NULL when it does not parse. Local times are in the connection's zone."""
    column = columns.get(field, CONSTANT)
    if types.get(column, "").startswith(("TIMESTAMP", "DATE")):
        return f"TRY_CAST({identifier(column)} AS TIMESTAMPTZ)"
    text = text_sql(columns, types, field)
    number = f"TRY_CAST({text} AS DECIMAL(30, 6))"
    iso = f"TRY_CAST({text} AS TIMESTAMPTZ)"
    if timestamp in _US_PER_UNIT:
        return _epoch_sql(number, str(_US_PER_UNIT[timestamp]))
    if timestamp == "iso":
        return iso
    if "%" in timestamp:
        return f"TRY_CAST(try_strptime({text}, {quoted(timestamp)}) AS TIMESTAMPTZ)"
    # From 1973 to 5138 a count of seconds, milliseconds and microseconds cannot be taken for one another. A smaller
    # number is rather a date such as 20111209, and does not parse.
    factor = (
        f"(CASE WHEN {number} BETWEEN 1e8 AND 1e11 THEN 1000000 WHEN {number} BETWEEN 1e11 AND 1e14 THEN 1000"
        f" WHEN {number} BETWEEN 1e14 AND 1e17 THEN 1 END)"
    )
    return f"CASE WHEN regexp_matches({text}, {quoted(_NUMBER)}) THEN {_epoch_sql(number, factor)} ELSE {iso} END"


def _epoch_sql(number: str, us_per_unit: str) -> str:
    return f"TRY(make_timestamp(TRY_CAST({number} * {us_per_unit} AS BIGINT)) AT TIME ZONE 'UTC')"


def object_sql(members: Mapping[str, str]) -> str:
    """SQL of a JSON object of texts; a member that is NULL is left out."""
    parts = [f"{quoted(msgspec.json.encode(key).decode() + ':')} || to_json({text})" for key, text in members.items()]
    return "'{' || concat_ws(',', " + ", ".join(parts) + ") || '}'" if parts else "'{}'"
