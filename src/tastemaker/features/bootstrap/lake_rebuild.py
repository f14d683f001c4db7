"""Rows of the online store that are taken from the lake: those of corrected events, and those of a view."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, TypeVar

import duckdb

from tastemaker import names
from tastemaker.features.keys import bucket_of, join_key
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.stores.protocol import StoreConflict, StoreReader, StoreTransaction
from tastemaker.features.stores.view_ages import Progress
from tastemaker.lake.offsets import committed_offsets
from tastemaker.lake.tables import Lake

__all__ = ["BUILD_MEMORY", "LakeBehind", "covered_offsets", "redo_rows", "write_all", "write_rows"]

T = TypeVar("T")
# Of DuckDB, while the worker goes on beside it; more is spilled to disk.
BUILD_MEMORY: Final = "1GB"
_CHUNK: Final = 10_000
_KEY_COLUMNS: Final = (names.USER_ID, names.SESSION_ID, names.ITEM_ID, names.CATEGORY)


class LakeBehind(StoreConflict):
    """Rows hold events that another worker has not brought into the lake yet; try again in a moment."""


def covered_offsets(tx: StoreTransaction, lake: Lake, own: Collection[int] | None) -> dict[int, int]:
    """By partition, the last offset that rows from the lake may hold, so that no event is lost or counted twice.

    Events of this worker's partitions that are in the rows but not in the lake come to this worker again, because
    it starts each partition at the older of the two; those of others do not.

    Args:
        tx: the running transaction, with the positions of the batch.
        lake: with the batch in it.
        own: this worker's partitions; None for all.

    Raises:
        LakeBehind: the lake lacks events of another worker.
    """
    online = tx.positions(names.TOPIC_EVENTS)
    held = committed_offsets(lake.open(names.TABLE_EVENTS), names.TOPIC_EVENTS, online)
    for partition, following in online.items():
        if own is not None and partition not in own and held.get(partition, -1) < following - 1:
            raise LakeBehind(
                f"the lake holds partition {partition} up to offset {held.get(partition, -1)}, the online store up to"
                f" {following - 1}; the worker that has it must bring them into the lake first"
            )
    return {partition: min(following - 1, held.get(partition, -1)) for partition, following in online.items()}


def redo_rows(
    duck: duckdb.DuckDBPyConnection,
    tx: StoreTransaction,
    views: Iterable[tuple[ViewPlan, Progress]],
    event_ids: Sequence[str],
    upto: Mapping[int, int],
) -> dict[str, list[str]]:
    """Write the rows of corrected events anew, without these events.

    Args:
        duck: a connection with the lake's tables.
        tx: the running transaction.
        views: those over events, and how far each is built.
        event_ids: of the corrected events.
        upto: as of :func:`covered_offsets`.

    Returns:
        By signature, the keys that were written or deleted.
    """
    from tastemaker.features.bootstrap.states import rows_of_view

    found = duck.execute(
        f"SELECT {', '.join(_KEY_COLUMNS)} FROM {names.TABLE_EVENTS} WHERE {names.EVENT_ID} IN (SELECT unnest(?))",
        [list(event_ids)],
    ).fetchall()
    originals = [dict(zip(_KEY_COLUMNS, row, strict=True)) for row in found]
    redone = {}
    for view, progress in views:
        parts = [[original[column] for column in view.join_keys] for original in originals]
        keys = [key for key in sorted({join_key(ids) for ids in parts if None not in ids}) if progress.includes(key)]
        if not keys:
            continue
        tx.get(view.signature, keys)  # so that another writer's change of one is a conflict
        rows = list(rows_of_view(duck, view, keys=keys, upto=upto))
        _put(tx, view, rows)
        tx.delete(view.signature, sorted(set(keys) - {key for key, _, _ in rows}))
        redone[view.signature] = keys
    return redone


def write_rows(
    duck: duckdb.DuckDBPyConnection,
    tx: StoreTransaction,
    view: ViewPlan,
    bucket: tuple[int, int] = (0, 1),
    *,
    until_us: int | None = None,
    upto: Mapping[int, int] | None = None,
    replaced: StoreReader | None = None,
) -> None:
    """Write rows of a view, and after the last of them the labels that they refer to.

    Args:
        duck: a connection with the lake's tables.
        tx: the running transaction.
        view: of any kind.
        bucket: ``(i, n)``: only keys whose bucket modulo ``n`` is ``i``.
        until_us: leave out what happened at or after this moment; None takes everything.
        upto: as of :func:`covered_offsets`; None takes everything in the lake.
        replaced: of the same store, when the view has rows already: those that the lake no longer gives are deleted.
    """
    from tastemaker.features.bootstrap.states import labels_of_view, rows_of_view

    number, of = bucket
    before = () if replaced is None else (key for key, _ in replaced.all_rows(view.signature))
    left = {key for key in before if bucket_of(key) % of == number}
    for rows in _chunks(rows_of_view(duck, view, until_us=until_us, bucket=None if of == 1 else bucket, upto=upto)):
        if replaced is not None:
            tx.get(view.signature, [key for key, _, _ in rows])  # a store refuses to replace what nobody has read
        _put(tx, view, rows)
        left.difference_update(key for key, _, _ in rows)
    if left:
        tx.get(view.signature, sorted(left))
        tx.delete(view.signature, sorted(left))
    if number == of - 1:
        for labels in _chunks(labels_of_view(duck, view)):
            tx.put_labels(dict(labels))


def write_all(
    duck: duckdb.DuckDBPyConnection, tx: StoreTransaction, plan: FeaturePlan, until_us: int | None = None
) -> Iterator[float]:
    """Write everything that the lake knows; gives the share that is done, step by step.

    Args:
        duck: a connection with the lake's tables.
        tx: the running transaction.
        plan: the declarations.
        until_us: leave out what happened at or after this moment, and what only a state that is written to needs: the
            ids of events. None takes everything.
    """
    from tastemaker.features.bootstrap.states import corrected_of, items_of, seen_of

    steps = len(plan.views) + 2
    for number, view in enumerate(plan.views):
        tx.drop_view(view.signature)
        write_rows(duck, tx, view, until_us=until_us)
        yield (number + 1) / steps
    for items in _chunks(items_of(duck, until_us)):
        tx.put_items(items)
    yield (steps - 1) / steps
    if until_us is None:
        for seen in _chunks(seen_of(duck)):
            digests, partitions, offsets = zip(*seen, strict=True)
            tx.register(digests, partitions, offsets)
        for corrected in _chunks(corrected_of(duck)):
            tx.correct(corrected)
    yield 1.0


def _put(tx: StoreTransaction, view: ViewPlan, rows: Sequence[tuple[str, int, bytes]]) -> None:
    if rows:
        keys, event_us, states = zip(*rows, strict=True)
        tx.put(view.signature, keys, event_us, states)


def _chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
