"""Read features from the online store, as of now, straight into numpy: the serving path's view of it, without Feast."""

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.events.item import Item, decode_item
from tastemaker.features import database
from tastemaker.features.collapse import collapse
from tastemaker.features.history import HistoryEvent, newest_first, unpack_history
from tastemaker.features.keys import join_key, prefix_range, split_key
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan

__all__ = ["FeatureReader", "Key"]

# The ids of one entity: a text, or a tuple of them for a view of several entities.
Key = str | tuple[str, ...]
_PYTHON: Final = {"int64": int, "float64": float, "bool": bool}
_State = tuple[int, bytes] | None


class FeatureReader:
    """Reads the online store; safe beside a writer in another process, and from several threads.

    Args:
        location: the SQLite file, or a location in memory.
        plan: the applied declarations.

    Raises:
        DataError: there is no store, or it was built for other declarations.
    """

    def __init__(self, location: Path | str, plan: FeaturePlan) -> None:
        self.plan = plan
        self._location = location
        self._threads = threading.local()
        self._check_plan(self._connection)

    @property
    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = database.connect_reader(self._location)
        return connection

    def close(self) -> None:
        """Close this thread's connection."""
        if getattr(self._threads, "connection", None) is not None:
            self._threads.connection.close()
            self._threads.connection = None

    def values(self, view: str, keys: Sequence[Key], now_us: int) -> npt.NDArray[np.float64]:
        """Numeric features of many entities.

        Args:
            view: an aggregate or batch view.
            keys: one per entity; a tuple of ids in the order of the view's entities where it has several.
            now_us: the platform's time in microseconds.

        Returns:
            Shape ``[len(keys), features]``, features in declared order, defaults for what is not known.

        Raises:
            DataError: the view has a feature that is no number.
        """
        plan = self.plan.view(view)
        return self._numbers(plan, self._states(plan, [join_key(key) for key in keys]), now_us)

    def matrix(self, view: str, keys: Sequence[Key], now_us: int) -> npt.NDArray[np.float32]:
        """As :meth:`values`, in the single precision that models take."""
        return self.values(view, keys, now_us).astype(np.float32)

    def scan(self, view: str, first: str, now_us: int) -> tuple[list[str], npt.NDArray[np.float32]]:
        """All entities of a two-entity view that begin with one id, such as all items of a user.

        Returns:
            The second ids, and their features: shape ``[ids, features]``.
        """
        plan = self.plan.view(view)
        start, end = prefix_range(first)
        rows = self._connection.execute(
            "SELECT key, event_us, state FROM online WHERE view = ? AND key >= ? AND key < ? ORDER BY key",
            (plan.signature, start, end),
        ).fetchall()
        found = self._numbers(plan, [row[1:] for row in rows], now_us)
        return [split_key(row[0])[1] for row in rows], found.astype(np.float32)

    def row(self, view: str, key: Key, now_us: int) -> dict[str, Any]:
        """All features of one entity by name, as plain Python values."""
        return self.rows(view, [key], now_us)[0]

    def rows(self, view: str, keys: Sequence[Key], now_us: int) -> list[dict[str, Any]]:
        """All features of some entities by name, as plain Python values."""
        plan = self.plan.view(view)
        states = self._states(plan, [join_key(key) for key in keys])
        if plan.kind == "history":
            return [_lists(plan, self._history(plan, state, now_us)) for state in states]
        if plan.kind == "batch":
            return [dict(zip(plan.feature_names, _columns(plan, state, now_us), strict=True)) for state in states]
        convert = [_PYTHON[feature.dtype] for feature in plan.features]
        return [
            {name: kind(value) for name, kind, value in zip(plan.feature_names, convert, numbers, strict=True)}
            for numbers in self._numbers(plan, states, now_us).tolist()
        ]

    def newest_us(self, view: str, keys: Sequence[Key]) -> list[int | None]:
        """The time of each entity's newest event or row, where there is one."""
        plan = self.plan.view(view)
        return [state and state[0] for state in self._states(plan, [join_key(key) for key in keys])]

    def history(self, view: str, key: Key, now_us: int | None = None) -> list[tuple[str, str, int]]:
        """The newest events of an entity: ``(item_id, type, occurred_at in microseconds)``, newest first.

        Args:
            view: a history view.
            key: the entity.
            now_us: leave out events at or after this moment; None takes what is there.
        """
        plan = self.plan.view(view)
        (state,) = self._states(plan, [join_key(key)])
        return [(event.item_id, event.type, event.occurred_us) for event in self._history(plan, state, now_us)]

    def items_changed(self, since_rev: int = 0) -> tuple[int, list[tuple[str, Item | None]]]:
        """Items that changed after a revision, None for removed ones, and the revision that this is as of."""
        with database.transaction(self._connection, "DEFERRED"):
            rev = int(database.get_meta(self._connection, "rev") or 0)
            rows = self._connection.execute("SELECT item_id, item FROM items WHERE rev > ?", (since_rev,)).fetchall()
        return rev, [(item_id, None if raw is None else decode_item(raw)) for item_id, raw in rows]

    def changed(self, view: str, since_rev: int = 0) -> tuple[int, list[Key]]:
        """Keys whose rows changed after a revision, and the revision that this is as of.

        Raises:
            DataError: the store was rebuilt for other declarations.
        """
        plan = self.plan.view(view)
        with database.transaction(self._connection, "DEFERRED"):
            self._check_plan(self._connection)
            rev = int(database.get_meta(self._connection, "rev") or 0)
            rows = self._connection.execute(
                "SELECT key FROM online WHERE view = ? AND rev > ?", (plan.signature, since_rev)
            ).fetchall()
        keys = (split_key(row[0]) for row in rows)
        return rev, [parts if len(plan.join_keys) > 1 else parts[0] for parts in keys]

    def _check_plan(self, connection: sqlite3.Connection) -> None:
        known = database.known_views(connection)
        missing = [view.name for view in self.plan.views if view.signature not in known]
        if missing:
            raise DataError(
                f"the online store at {self._location} was built for other declarations of {', '.join(missing)};"
                " rebuild it from the lake, or train and promote a release with the declarations in force"
            )

    def _states(self, plan: ViewPlan, keys: Sequence[str]) -> list[_State]:
        # One statement is one snapshot: the entities of a call are never from different batches of the writer.
        rows = self._connection.execute(
            "SELECT online.event_us, online.state FROM json_each(?) AS wanted"
            " LEFT JOIN online ON online.view = ? AND online.key = wanted.value ORDER BY wanted.key",
            (json.dumps(keys), plan.signature),
        )
        return [row if row[1] is not None else None for row in rows]

    def _numbers(self, plan: ViewPlan, states: Sequence[_State], now_us: int) -> npt.NDArray[np.float64]:
        if any(not feature.is_numeric for feature in plan.features):
            raise DataError(f"view {plan.name} has features that are no numbers; read it with rows() or history()")
        if plan.kind == "aggregate":
            return collapse(plan, [state and state[1] for state in states], now_us)
        found = np.array([_columns(plan, state, now_us) for state in states], np.float64)
        return found.reshape(len(states), len(plan.features))

    def _history(self, plan: ViewPlan, state: _State, now_us: int | None) -> list[HistoryEvent]:
        events = unpack_history(state and state[1], now_us, newest_first(plan))
        if plan.ttl_us and now_us is not None and events and events[0].occurred_us < now_us - plan.ttl_us:
            return []
        return events


def _lists(plan: ViewPlan, events: list[HistoryEvent]) -> dict[str, Any]:
    attribute = {"item_id": "item_id", "type": "type", "occurred_at": "occurred_us"}
    return {feature.name: [getattr(event, attribute[feature.column]) for event in events] for feature in plan.features}


def _columns(plan: ViewPlan, state: _State, now_us: int) -> list[Any]:
    """The values of a batch view's row, with defaults for nulls and for a row past its TTL."""
    if state is None or state[0] > now_us or (plan.ttl_us and state[0] < now_us - plan.ttl_us):
        return [feature.default_value for feature in plan.features]
    values = msgspec.msgpack.decode(state[1])
    return [_value(feature, value) for feature, value in zip(plan.features, values, strict=True)]


def _value(feature: FeatureSpec, value: Any) -> Any:
    return feature.default_value if value is None else value
