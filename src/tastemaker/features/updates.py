"""From a batch of events to new rows of the online store, one view at a time."""

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from tastemaker.events.contract import Event
from tastemaker.features.history import HistoryEvent, add_events, newest_first, pack_history, unpack_history
from tastemaker.features.keys import join_key
from tastemaker.features.layout import layout_of
from tastemaker.features.plan import ViewPlan
from tastemaker.features.tiles import Tiles, contributions

__all__ = ["Moment", "ViewUpdater", "updater_of"]

State = TypeVar("State")
_UPSERT = (
    "INSERT INTO online(view, key, event_us, rev, state) VALUES (?, ?, ?, ?, ?) ON CONFLICT (view, key) DO UPDATE SET"
    " event_us = excluded.event_us, rev = excluded.rev, state = excluded.state"
)


class Moment(NamedTuple):
    """An event with its time and its value as the engine counts them."""

    event: Event
    at_us: int
    micros: int | None


class ViewUpdater(ABC):
    """Applies events to one view."""

    @abstractmethod
    def update(self, connection: sqlite3.Connection, moments: Iterable[Moment], rev: int) -> None:
        """Write the new state of every entity that the events touch, within the running transaction."""

    @abstractmethod
    def forget(self) -> None:
        """Drop all decoded states, because the file may hold others."""


class _Updater(ViewUpdater, Generic[State]):
    """Groups events by entity and keeps the decoded states of the entities used last."""

    def __init__(self, view: ViewPlan, cached_entities: int) -> None:
        self._view = view
        self._key_of = _key_function(view.join_keys)
        self._cached_entities = cached_entities
        self._states: dict[str, State] = {}

    @abstractmethod
    def _decode(self, packed: bytes) -> State:
        """A state from its bytes; from no bytes, that of an entity without events."""

    @abstractmethod
    def _advance(self, state: State, moments: list[Moment]) -> tuple[State, int, bytes]:
        """The state after some events, the time of its newest event, and its bytes."""

    def _sees(self, event: Event) -> bool:
        return event.type in self._view.types

    def forget(self) -> None:
        self._states.clear()

    def update(self, connection: sqlite3.Connection, moments: Iterable[Moment], rev: int) -> None:
        touched: dict[str, list[Moment]] = {}
        for moment in moments:
            if self._sees(moment.event) and (key := self._key_of(moment.event)) is not None:
                touched.setdefault(key, []).append(moment)
        if not touched:
            return
        self._load(connection, [key for key in touched if key not in self._states])
        rows = []
        for key, own in touched.items():
            state, newest_us, packed = self._advance(self._states.pop(key), own)
            self._states[key] = state  # at the end: the least recently used come first
            rows.append((self._view.signature, key, newest_us, rev, packed))
        connection.executemany(_UPSERT, rows)
        while len(self._states) > self._cached_entities:
            del self._states[next(iter(self._states))]

    def _load(self, connection: sqlite3.Connection, keys: Sequence[str]) -> None:
        found = connection.execute(
            "SELECT wanted.value, online.state FROM json_each(?) AS wanted"
            " LEFT JOIN online ON online.view = ? AND online.key = wanted.value",
            (json.dumps(keys), self._view.signature),
        )
        for key, packed in found:
            self._states[key] = self._decode(packed or b"")


class _TilesUpdater(_Updater[Tiles]):
    def __init__(self, view: ViewPlan, cached_entities: int) -> None:
        super().__init__(view, cached_entities)
        self._layout = layout_of(view)
        self._feeds = contributions(self._layout)

    def _decode(self, packed: bytes) -> Tiles:
        return Tiles(self._layout, packed)

    def _advance(self, state: Tiles, moments: list[Moment]) -> tuple[Tiles, int, bytes]:
        for event, at_us, micros in moments:
            state.add(at_us, self._feeds[event.type], micros)
        return state, state.newest_us, state.pack()


class _HistoryUpdater(_Updater[list[HistoryEvent]]):
    def __init__(self, view: ViewPlan, cached_entities: int) -> None:
        super().__init__(view, cached_entities)
        self._n = newest_first(view)

    def _sees(self, event: Event) -> bool:
        return event.item_id is not None and event.type in self._view.types

    def _decode(self, packed: bytes) -> list[HistoryEvent]:
        return unpack_history(packed)

    def _advance(self, state: list[HistoryEvent], moments: list[Moment]) -> tuple[list[HistoryEvent], int, bytes]:
        new = [
            HistoryEvent(at_us, event.event_id, event.item_id or "", event.type) for event, at_us, _micros in moments
        ]
        state = add_events(state, new, self._n)
        return state, state[0].occurred_us, pack_history(state)


def updater_of(view: ViewPlan, cached_entities: int) -> ViewUpdater:
    """The updater of a view over events."""
    return (_TilesUpdater if view.kind == "aggregate" else _HistoryUpdater)(view, cached_entities)


def _key_function(join_keys: tuple[str, ...]) -> Callable[[Event], str | None]:
    if len(join_keys) == 1:
        (name,) = join_keys

        def single(event: Event) -> str | None:
            value: str | None = getattr(event, name)
            return None if value is None else join_key(value)

        return single

    def several(event: Event) -> str | None:
        values = [getattr(event, name) for name in join_keys]
        return None if None in values else join_key(values)

    return several
