"""What the steps of the batch executor share: temporary tables of one question, and cutting them into pieces.

Rows and events carry small whole numbers in place of keys, which sort and join several times faster than texts:
``rows(rn, id, as_of_us)`` are the asked moments, ``events(id, at_us, kind, ...)`` the events of the asked keys, where
``kind`` is the event type's place among those that the view sees. Each step leaves a table with one line per row.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import duckdb
import numpy as np

from tastemaker.features.declarations.grammar import NUMBERS
from tastemaker.features.layout import Slot
from tastemaker.features.plan import ViewPlan
from tastemaker.features.sql.expressions import (
    event_column,
    events_of_view,
    has_corrections,
    label_number_sql,
    literals,
    micros_sql,
    parts_sql,
    squares_sql,
)

__all__ = ["PIECE", "Query", "amount_of", "cell_sql", "columns_of", "columns_sql", "kind_sql", "seen_sql"]

# Rows that one step sorts or joins at a time: enough to keep the cores busy, in a few hundred megabytes.
PIECE: Final = 6_000_000


@dataclass(slots=True)
class Query:
    """One view's features as of the rows of one frame.

    Attributes:
        duck: a connection with the lake's tables.
        view: an aggregate or a history view.
        prefix: begins the names of the temporary tables.
        piece: about how many rows a step handles at a time; memory grows with it.
        joins: the tables that steps left, with the column of ``rows`` that each is joined by.
    """

    duck: duckdb.DuckDBPyConnection
    view: ViewPlan
    prefix: str
    piece: int = PIECE
    joins: dict[str, str] = field(default_factory=dict)

    def name(self, table: str) -> str:
        """The name of one of the query's temporary tables."""
        return f"{self.prefix}_{table}"

    def start(self, frame: str, slots: Iterable[Slot], columns: Sequence[str] = ()) -> None:
        """Make ``keys``, ``rows`` and ``events``.

        Args:
            frame: table with ``key`` and ``as_of_us``.
            slots: what the events' columns are needed for.
            columns: further columns of the events, as expressions over the events table with names.
        """
        duck = self.duck
        asked = f"(SELECT DISTINCT key, as_of_us FROM {frame} WHERE key IS NOT NULL)"
        join_keys = self.view.join_keys
        parts = "".join(f", {part} AS part_{n}" for n, part in enumerate(parts_sql("key", len(join_keys))))
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {self.name('keys')} AS SELECT key{parts},"
            f" CAST(row_number() OVER () AS INTEGER) AS id FROM (SELECT DISTINCT key FROM {asked})"
        )
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {self.name('rows')} AS SELECT CAST(row_number() OVER () AS INTEGER) AS rn,"
            f" id, as_of_us FROM {asked} JOIN {self.name('keys')} USING (key)"
        )
        # Joined by plain ids: making the key of every event costs more than taking the asked keys apart.
        ids = [f"{column} AS part_{n}" for n, column in enumerate(join_keys)]
        needed = [*ids, *columns_sql(self.view, slots), *columns]
        events = events_of_view(self.view, needed, corrections=has_corrections(duck))
        own = ", ".join(f"part_{n}" for n in range(len(join_keys)))
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {self.name('events')} AS SELECT id, {kind_sql(self.view)} AS kind,"
            f" e.* EXCLUDE (key, type, {own}) FROM ({events}) AS e JOIN {self.name('keys')} USING ({own})"
        )

    def finish(self) -> None:
        """Drop the temporary tables."""
        for table in [*("keys", "rows", "events"), *self.joins]:
            self.duck.execute(f"DROP TABLE IF EXISTS {self.name(table)}")

    def seen_by(self, slot: Slot) -> str:
        """Whether a line of ``events`` counts for a slot."""
        return seen_sql(self.view, slot)

    def pairs(self, events: str) -> str:
        """How many pairs of a row and an event each key has, for :meth:`pieces`."""
        return (
            f"SELECT id, e.n * r.n AS weight FROM (SELECT id, count(*) AS n FROM {events} GROUP BY id) AS e"
            f" JOIN (SELECT id, count(*) AS n FROM {self.name('rows')} GROUP BY id) AS r USING (id)"
        )

    def pieces(self, weight: str, column: str = "id") -> list[str]:
        """Conditions on a column ``id`` that cut the keys into pieces.

        Args:
            weight: a query with ``id`` and ``weight``: how many lines a key makes; several lines of a key add up.
            column: what the conditions call it.
        """
        [(total,)] = self.duck.execute(f"SELECT coalesce(sum(weight), 0) FROM ({weight})").fetchall()
        if total <= self.piece:
            return ["true"]
        by_id = self.duck.execute(
            f"SELECT id, CAST(sum(weight) AS BIGINT) AS weight FROM ({weight}) GROUP BY id ORDER BY id"
        ).fetchnumpy()
        upto = np.cumsum(by_id["weight"])
        edges = np.searchsorted(upto, np.arange(self.piece, upto[-1] + self.piece, self.piece))
        lasts = by_id["id"][np.unique(np.minimum(edges, len(upto) - 1))].tolist()
        return [
            f"{column} > {before} AND {column} <= {last}" for before, last in zip([-1, *lasts[:-1]], lasts, strict=True)
        ]

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """Tables are read in the order in which they were written, which is DuckDB's default."""
        setting = "preserve_insertion_order"
        [(found,)] = self.duck.execute(f"SELECT current_setting('{setting}')").fetchall()
        self.duck.execute(f"SET {setting} = true")
        try:
            yield
        finally:
            self.duck.execute(f"SET {setting} = {found}")

    def fill(self, table: str, queries: Iterable[str], by: str = "rn") -> None:
        """Make a table of what some queries give, one after the other, to be joined to the rows by a column."""
        for number, query in enumerate(queries):
            begin = (
                f"INSERT INTO {self.name(table)}" if number else f"CREATE OR REPLACE TEMP TABLE {self.name(table)} AS"
            )
            self.duck.execute(f"{begin} {query}")
        self.joins[table] = by


def amount_of(slot: Slot) -> str:
    """The column of ``events`` that a slot adds up or compares."""
    return f"{'squares' if slot.op == 'sum_sq' else 'micros'}_{slot.column}"


def cell_sql(slot: Slot) -> str:
    """The cell of an event's label."""
    return f"number_{slot.column} % {slot.cells}"


def kind_sql(view: ViewPlan) -> str:
    """The column ``kind`` out of ``type``: a small number per event type that the view sees, from 1."""
    return f"CAST(list_position([{literals(sorted(view.types))}], type) AS UTINYINT)"


def seen_sql(view: ViewPlan, slot: Slot) -> str:
    """Whether an event counts for a slot, over ``kind`` and :func:`columns_of`; not true of a line without a kind."""
    types = sorted(view.types)
    every = set(slot.types) == set(types)
    kinds = ", ".join(str(types.index(kind) + 1) for kind in slot.types)
    conditions = ["kind IS NOT NULL" if every else f"kind IN ({kinds})"]
    for column in columns_of(view, slot):
        conditions.append(column if column.startswith("has_") else f"{column} IS NOT NULL")
    return " AND ".join(conditions)


def columns_sql(view: ViewPlan, slots: Iterable[Slot]) -> list[str]:
    """:func:`columns_of` some slots with their names; labels are only numbered where a slot looks at them."""
    found: dict[str, str] = {}
    types: dict[str, set[str]] = {}
    for slot in slots:
        for name, sql in columns_of(view, slot).items():
            found[name] = sql
            types.setdefault(name, set()).update(slot.types)
    return [
        f"CASE WHEN type IN ({literals(sorted(types[name]))}) THEN {sql} END AS {name}"
        if name.startswith("number_")
        else f"{sql} AS {name}"
        for name, sql in found.items()
    ]


def columns_of(view: ViewPlan, slot: Slot) -> dict[str, str]:
    """The columns of ``events`` that a slot looks at, as expressions over the events table, by name."""
    text = event_column(view, slot.column)
    if slot.op == "labels":
        by = {f"micros_{slot.by}": micros_sql(slot.by)} if slot.by else {}
        return {f"text_{slot.column}": text} | by
    if slot.op == "cells":
        return {f"number_{slot.column}": label_number_sql(text)}
    if slot.column in NUMBERS:
        squares = {f"squares_{slot.column}": squares_sql(slot.column)} if slot.op == "sum_sq" else {}
        return {f"micros_{slot.column}": micros_sql(slot.column)} | squares
    return {f"has_{slot.column}": f"{slot.column} IS NOT NULL"} if slot.column else {}
