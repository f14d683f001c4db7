"""The events of the lake, or the versions of a table's row, behind a value, and those that do not count."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

import duckdb

from tastemaker import names
from tastemaker.clock import from_us
from tastemaker.features.audit.definition import duration_text
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.sql.columns import stored_columns, version_order
from tastemaker.features.sql.expressions import event_column, key_sql, literals

__all__ = ["Evidence", "Found", "Question", "events_behind", "versions_behind"]

_NEWEST: Final = {"time_since_last", "last"}
_BEFORE: Final = "before the window"
_NO_COLUMN: Final = {names.EVENT_ID, names.OCCURRED_AT}
_SAID: Final = (names.EVENT_ID, names.TYPE, names.USER_ID, names.SESSION_ID, names.ITEM_ID, names.VALUE)


@dataclass(frozen=True)
class Evidence:
    """An event, or a version of a table's row, behind a value.

    Attributes:
        at: when it happened.
        columns: what it says, by column.
        left_out: why it does not count; empty if it does.
    """

    at: datetime
    columns: dict[str, Any]
    left_out: str = ""


class Question(NamedTuple):
    """Whose value, and when.

    Attributes:
        duck: a connection with the lake's tables.
        key: of the entity, as :mod:`tastemaker.features.keys` joins it.
        at_us: the moment, in microseconds.
        limit: how many events are shown.
    """

    duck: duckdb.DuckDBPyConnection
    key: str
    at_us: int
    limit: int


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        shown: the newest that count, and the newest of each reason not to; newest first.
        counted: how many count.
        left_out: how many do not, by reason.
    """

    shown: list[Evidence] = field(default_factory=list)
    counted: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


def events_behind(question: Question, view: ViewPlan, feature: FeatureSpec, begin_us: int | None) -> Found:
    """The events of an entity that have one of the feature's types.

    Args:
        question: whose, and when; that moment itself is outside of the window.
        view: over events.
        feature: one of its features that is computed from events.
        begin_us: first moment of the window, in microseconds; None for the lifetime.
    """
    time = event_column(view, names.OCCURRED_AT)
    own_column = feature.column not in _NO_COLUMN
    value = event_column(view, feature.column) if own_column else "NULL"
    late = f"epoch_us(e.{names.INGESTED_AT}) - {time} > {view.lateness_us}" if view.lateness_us else "false"
    expired = _is_expired(question, view, late)
    reasons = [
        ("c.by_event IS NOT NULL", "'corrected by ' || c.by_event"),
        (late, f"'came in later than {duration_text(view.lateness_us)} after it happened'"),
        (f"{time} >= $at_us", "'at or after this moment'"),
        ("$begin_us IS NOT NULL AND " + f"{time} < $begin_us", f"'{_BEFORE}'"),
    ]
    if view.kind == "history":
        reasons.append((f"e.{names.ITEM_ID} IS NULL", "'has no item'"))
    elif own_column:
        reasons.append((f"({value}) IS NULL", f"'has no {feature.column}'"))
    if expired:
        reasons.append(("true", f"'forgotten: the newest is more than {duration_text(view.ttl_us)} old'"))
    case = " ".join(f"WHEN {condition} THEN {reason}" for condition, reason in reasons)
    rows = question.duck.execute(
        f"WITH corrections AS (SELECT {names.CORRECTS} AS original, min({names.EVENT_ID}) AS by_event"
        f" FROM {names.TABLE_EVENTS} WHERE {names.CORRECTS} IS NOT NULL GROUP BY ALL)"
        f" SELECT {time} AS at_us, {', '.join(f'e.{column}' for column in _SAID)}, {value} AS used,"
        f" CASE {case} ELSE '' END AS reason"
        f" FROM {names.TABLE_EVENTS} AS e LEFT JOIN corrections AS c ON e.{names.EVENT_ID} = c.original"
        f" WHERE {key_sql(view.join_keys)} = $key AND e.{names.TYPE} IN ({literals(feature.types)})"
        f" ORDER BY at_us DESC, e.{names.EVENT_ID} DESC",
        {"key": question.key, "at_us": question.at_us, "begin_us": begin_us},
    ).fetchall()
    found = []
    for at, *said, used, reason in rows:
        columns = dict(zip(_SAID, said, strict=True))
        if own_column and feature.column not in columns:
            columns[feature.column] = used
        found.append(Evidence(from_us(at), columns, reason))
    return _gathered(_only_those_used(feature, found), question.limit)


def versions_behind(question: Question, view: ViewPlan, feature: FeatureSpec) -> Found:
    """The versions of the table's row; the newest until the moment counts.

    Args:
        question: whose, and when.
        view: over a table.
        feature: one of its features.
    """
    expression = stored_columns(view)[view.features.index(feature)]
    order = ", ".join(f"{column} DESC" for column in version_order(view))
    time = f"epoch_us({view.timestamp_field})"
    rows = question.duck.execute(
        f"SELECT {time}, {expression} FROM {view.table} WHERE {key_sql(view.join_keys)} = ? ORDER BY {order}",
        [question.key],
    ).fetchall()
    found, held = [], False
    for at, value in rows:
        reason = "at or after this moment" if at > question.at_us else "a newer version replaced it" if held else ""
        held = held or not reason
        found.append(Evidence(from_us(at), {feature.column: value}, reason))
    return _gathered(found, question.limit)


def _is_expired(question: Question, view: ViewPlan, late: str) -> bool:
    """Whether the entity's newest event of the view is so old that all its values are forgotten."""
    if not view.ttl_us:
        return False
    time = event_column(view, names.OCCURRED_AT)
    has_item = f"e.{names.ITEM_ID} IS NOT NULL" if view.kind == "history" else "true"
    ((newest,),) = question.duck.execute(
        f"SELECT max({time}) FROM {names.TABLE_EVENTS} AS e WHERE {key_sql(view.join_keys)} = $key"
        f" AND e.{names.TYPE} IN ({literals(sorted(view.types))}) AND {time} < $at_us AND NOT ({late}) AND {has_item}"
        f" AND e.{names.EVENT_ID} NOT IN (SELECT {names.CORRECTS} FROM {names.TABLE_EVENTS}"
        f" WHERE {names.CORRECTS} IS NOT NULL)",
        {"key": question.key, "at_us": question.at_us},
    ).fetchall()
    return newest is not None and question.at_us - newest > view.ttl_us


def _only_those_used(feature: FeatureSpec, found: list[Evidence]) -> list[Evidence]:
    """Of a function that looks at some events only, say of the others that they are not looked at."""
    counting = [one for one in found if not one.left_out]
    if feature.function in _NEWEST:
        used, why = counting[:1], "only the newest counts"
    elif feature.function == "time_since_first":
        used, why = counting[-1:], "only the oldest counts"
    elif feature.function == "last_n":
        used, why = counting[: feature.n], f"only the {feature.n} newest count"
    else:
        return found
    kept = {id(one) for one in used}
    return [one if one.left_out or id(one) in kept else Evidence(one.at, one.columns, why) for one in found]


def _gathered(found: list[Evidence], limit: int) -> Found:
    taken: Counter[str] = Counter()
    shown = []
    counts: Counter[str] = Counter()
    for one in found:
        kind = "corrected" if one.left_out.startswith("corrected by ") else one.left_out
        counts[kind] += 1
        if taken[kind] < (1 if kind == _BEFORE or kind.startswith("only ") else limit):
            taken[kind] += 1
            shown.append(one)
    counted = counts.pop("", 0)
    return Found(shown, counted, dict(counts))
