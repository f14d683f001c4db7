"""The packed states of a history view, from the lake: what :func:`tastemaker.features.history.pack_history` makes.

One query gives the events in order with their texts joined, so that a state's texts are a stretch of one buffer and
its words a stretch of another.
"""

from collections.abc import Iterator
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa

from tastemaker import names
from tastemaker.features.history import HISTORY_WORDS, newest_first
from tastemaker.features.plan import ViewPlan
from tastemaker.features.semantics import HEAD_US

__all__ = ["HISTORY_EVENT_COLUMNS", "history_rows"]

HISTORY_EVENT_COLUMNS: Final = (names.EVENT_ID, names.ITEM_ID, names.CATEGORY, names.VALUE, names.PRICE)
_TEXTS: Final = (names.EVENT_ID, names.ITEM_ID, names.TYPE, names.CATEGORY)
_NAN: Final = "CAST('nan' AS DOUBLE)"


def history_rows(duck: duckdb.DuckDBPyConnection, view: ViewPlan, events: str) -> Iterator[tuple[str, int, bytes]]:
    """Key, newest event's time and packed state of every entity.

    Args:
        duck: a connection with the lake's tables.
        view: a history view.
        events: a query of the events that count, with :data:`HISTORY_EVENT_COLUMNS`.
    """
    # Four lengths of 16 bits in one word, that of a category plus one, so that 0 says there is none.
    lengths = " + ".join(
        f"CAST(coalesce(strlen({text}){' + 1' if text == names.CATEGORY else ''}, 0) AS HUGEINT) * {1 << 16 * place}"
        for place, text in enumerate(_TEXTS)
    )
    texts = " || ".join(f"coalesce({text}, '')" for text in _TEXTS)
    table = duck.sql(
        f"WITH marked AS (SELECT *, at_us >= max(at_us) OVER (PARTITION BY key) - {HEAD_US} AS is_head"
        f" FROM ({events})),"
        f" ranked AS (SELECT *, row_number() OVER (PARTITION BY key ORDER BY at_us DESC, {names.EVENT_ID} DESC)"
        " AS place, count(*) FILTER (is_head) OVER (PARTITION BY key) AS in_head FROM marked)"
        f" SELECT key, place, at_us, coalesce({names.VALUE}, {_NAN}) AS value,"
        f" coalesce({names.PRICE}, {_NAN}) AS price,"
        f" CAST({lengths} AS UBIGINT) AS lengths, {texts} AS texts FROM ranked"
        f" WHERE place <= in_head + {newest_first(view)} ORDER BY key, place"
    ).to_arrow_table()
    words = np.column_stack(
        [table.column(name).to_numpy().view("<i8") for name in ("at_us", "value", "price", "lengths")]
    )
    assert words.shape[1] == HISTORY_WORDS
    fixed = words.tobytes()
    heap, offsets = _buffer(table.column("texts"))
    begins = np.append(np.flatnonzero(table.column("place").to_numpy() == 1), len(table))
    at_us = words[begins[:-1], 0].tolist()
    keys = table.column("key").take(pa.array(begins[:-1])).to_pylist()
    texts_at, places, size = offsets[begins].tolist(), begins.tolist(), 8 * HISTORY_WORDS
    for number, key in enumerate(keys):
        begin, end = places[number], places[number + 1]
        own = heap[texts_at[number] : texts_at[number + 1]]
        state = (end - begin).to_bytes(8, "little") + fixed[size * begin : size * end] + own + bytes(-len(own) % 8)
        yield key, at_us[number], state


def _buffer(column: pa.ChunkedArray) -> tuple[bytes, np.ndarray]:
    """All texts of a column as bytes, one after the other, and where each begins; one more at the end."""
    texts = pa.concat_arrays([pa.array([], pa.large_binary()), *column.cast(pa.large_binary()).chunks])
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = texts.buffers()[2]
    return b"" if data is None else data.to_pybytes(), offsets
