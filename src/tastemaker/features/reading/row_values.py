"""From rows of the online store to the values of their features at a moment."""

from collections.abc import Callable, Sequence
from datetime import datetime
from math import isnan
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.features.history import HistoryEvent, newest_first, unpack_history, unpack_items
from tastemaker.features.plan import FeatureSpec, ViewPlan
from tastemaker.features.reading.collapse import collapse
from tastemaker.features.reading.top_labels import Texts, top_labels
from tastemaker.features.semantics import DAY_US
from tastemaker.features.stores.protocol import Row

__all__ = [
    "age_days",
    "chosen",
    "history_of",
    "is_live",
    "items_of",
    "numbers_of",
    "stored_columns",
    "time_of",
    "values_of",
]

_Rows = Sequence[Row | None]
_PYTHON: Final[dict[str, Callable[[float], float | int | bool]]] = {"int64": int, "float64": float, "bool": bool}
_NAN: Final = float("nan")
_decode = msgspec.msgpack.Decoder().decode


def chosen(view: ViewPlan, features: tuple[str, ...] | None) -> tuple[FeatureSpec, ...]:
    """The features of these names, in that order; all for None.

    Raises:
        DataError: the view has none of that name.
    """
    return view.features if features is None else tuple(view.feature(name) for name in features)


def is_live(view: ViewPlan, row: Row | None, now_us: int) -> bool:
    """Whether a batch view's row is there, not from the future, and not past its TTL."""
    return row is not None and row.event_us <= now_us and not (view.ttl_us and row.event_us < now_us - view.ttl_us)


def time_of(value: Any) -> int:
    """A time as it is stored, microseconds or a moment, in microseconds."""
    return to_us(value) if isinstance(value, datetime) else int(value)


def age_days(value: Any, now_us: int) -> float:
    """Days since a time as it is stored."""
    return float(now_us - time_of(value)) / DAY_US


def numbers_of(
    view: ViewPlan, rows: _Rows, now_us: int, features: tuple[str, ...] | None = None
) -> npt.NDArray[np.float64]:
    """Numeric features, shape ``[rows, features]``, with defaults for what is not known.

    Args:
        view: an aggregate or batch view.
        rows: one per entity; None where the store has none.
        now_us: the moment, in microseconds.
        features: which, in which order; None for all.

    Raises:
        DataError: a feature is no number, or the view has none of that name.
    """
    if view.kind == "aggregate":
        return collapse(view, [row and row.state for row in rows], now_us, features)
    asked = chosen(view, features)
    for feature in asked:
        if not feature.is_numeric:
            raise DataError(
                f"feature {feature.name} of view {view.name} is no number; read it with rows() or history()"
            )
    places = [view.features.index(feature) for feature in asked]
    found = np.array(
        [[columns[place] for place in places] for columns in (_columns(view, row, now_us) for row in rows)], np.float64
    )
    return found.reshape(len(rows), len(places))


def values_of(
    view: ViewPlan, rows: _Rows, now_us: int, texts: Texts, features: tuple[str, ...] | None = None
) -> list[dict[str, Any]]:
    """Features of any kind by name, as plain Python values; arguments as of :func:`numbers_of`.

    Raises:
        DataError: the view has no feature of that name, or the store does not know a label.
    """
    asked = chosen(view, features)
    names = [feature.name for feature in asked]
    if view.kind == "history":
        return [_lists(asked, history_of(view, row, now_us)) for row in rows]
    if view.kind == "batch":
        places = [view.features.index(feature) for feature in asked]
        decoded = (_columns(view, row, now_us) for row in rows)
        return [{name: columns[place] for name, place in zip(names, places, strict=True)} for columns in decoded]
    columns: dict[str, list[Any]] = {}
    numeric = tuple(feature.name for feature in asked if feature.is_numeric)
    packed = [row and row.state for row in rows]
    for name, column in zip(numeric, collapse(view, packed, now_us, numeric).T.tolist(), strict=True):
        feature = view.feature(name)
        convert, default = _PYTHON[feature.dtype], feature.default_value
        columns[name] = [default if isnan(value) else convert(value) for value in column]
    for feature in asked:
        if not feature.is_numeric:
            columns[feature.name] = top_labels(view, feature, packed, now_us, texts)
    return [dict(zip(names, values, strict=True)) for values in zip(*(columns[name] for name in names), strict=True)]


def history_of(view: ViewPlan, row: Row | None, now_us: int | None) -> list[HistoryEvent]:
    """The events of a history view's row before a moment, newest first; none of a row past its TTL."""
    events = unpack_history(row and row.state, now_us, newest_first(view))
    if view.ttl_us and now_us is not None and events and events[0].occurred_us < now_us - view.ttl_us:
        return []
    return events


def items_of(view: ViewPlan, row: Row | None, now_us: int | None) -> list[tuple[str, str, int]]:
    """Item, type and time of what :func:`history_of` gives."""
    events = unpack_items(row and row.state, now_us, newest_first(view))
    if view.ttl_us and now_us is not None and events and events[0][2] < now_us - view.ttl_us:
        return []
    return events


def _lists(features: Sequence[FeatureSpec], events: list[HistoryEvent]) -> dict[str, Any]:
    return {feature.name: _newest(feature, events) for feature in features}


def _newest(feature: FeatureSpec, events: list[HistoryEvent]) -> Any:
    """A column of the newest events, or of the newest one."""
    attribute = "occurred_us" if feature.column == "occurred_at" else feature.column
    if feature.function == "last":
        value = getattr(events[0], attribute) if events else None
        return feature.default_value if value is None else value
    null = _NAN if feature.dtype == "list[float64]" else ""
    found = (getattr(event, attribute) for event in events[: feature.n])
    return [null if value is None else value for value in found]


def stored_columns(row: Row) -> list[Any]:
    """What a batch view's row holds, in the order of the view's features; None for null."""
    columns: list[Any] = _decode(row.state)
    return columns


def _columns(view: ViewPlan, row: Row | None, now_us: int) -> list[Any]:
    """The values of a batch view's row, with defaults for nulls and for a row that is not live."""
    if row is None or not is_live(view, row, now_us):
        return [feature.default_value for feature in view.features]
    return [
        feature.default_value if value is None else age_days(value, now_us) if feature.function == "age" else value
        for feature, value in zip(view.features, _decode(row.state), strict=True)
    ]
