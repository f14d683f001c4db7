"""How a query is dealt to the tasks of a cluster: rows to the buckets of their entities, answers back to row order.

Two shuffles, as in MapReduce (Dean and Ghemawat, OSDI 2004):

1. Each part of a lake table is read once and dealt to buckets by a hash of the entity's columns.
2. Per bucket, the SQL executor computes the views of these columns for the bucket's rows of the frame. The answers are
   cut into blocks of consecutive rows, and each block of the result is put together from its pieces.

What crosses this process is the frame on its way out, and of the result only what is asked for.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from tastemaker.features import ray_tasks
from tastemaker.features.lake_queries import AS_OF, ROW, AskedView, NewestQuery, TrainingQuery
from tastemaker.features.ray_cluster import Cluster, Ref
from tastemaker.features.ray_tasks import Part, Source
from tastemaker.lake.tables import Lake

__all__ = ["Shuffle"]

_LEAST_ROWS: Final = 100_000  # a task's start costs more than the work on fewer rows
_BLOCK_ROWS: Final = 1_000_000


class _Group(NamedTuple):
    """Views that one bucket can answer together."""

    table: str
    join_keys: tuple[str, ...]
    key_columns: tuple[str, ...]


class Shuffle:
    """Answers queries over a lake with a cluster.

    Args:
        cluster: where tasks run.
        lake: root of the lake, on a path that every worker has.
        partition_rows: rows of the table and of the frame, together, that a task may hold; more rows, more tasks.
    """

    def __init__(self, cluster: Cluster, lake: Path, partition_rows: int) -> None:
        self._cluster = cluster
        self._lake = Lake(lake)
        self._partition_rows = partition_rows
        self._limits = ray_tasks.limits_of(cluster.task_options)

    def training_blocks(self, frame: pa.Table, query: TrainingQuery) -> list[Ref]:
        """The blocks of a training set, in the order of the frame.

        Args:
            frame: as of :func:`tastemaker.features.lake_queries.training_rows`, rows by :data:`ROW` from 0.
            query: what is asked.
        """
        bounds = self._bounds(len(frame))
        groups: dict[_Group, list[AskedView]] = {}
        for view in query.views:
            groups.setdefault(_Group(view.plan.table, view.plan.join_keys, view.key_columns), []).append(view)
        sources = {group.table: self._source(group.table, len(frame)) for group in groups}
        dealt: dict[tuple[str, tuple[str, ...]], list[list[Ref]]] = {}
        pieces: list[list[Ref]] = [[] for _ in pairwise(bounds)]
        sizes = []
        for group, views in groups.items():
            source = sources[group.table]
            if (group.table, group.join_keys) not in dealt:
                dealt[group.table, group.join_keys] = self._deal(source, group.join_keys)
            asked = TrainingQuery(tuple(views), query.references, query.full_feature_names, query.known_at)
            own = _dealt_frame(frame, group.key_columns, source.buckets)
            for rows, part in zip(dealt[group.table, group.join_keys], own, strict=True):
                answers = self._cluster.submit_split(
                    ray_tasks.training_blocks,
                    len(pieces),
                    source,
                    asked,
                    bounds,
                    self._cluster.put(part),
                    *rows,
                )
                for block, answer in zip(pieces, answers, strict=True):
                    block.append(answer)
            sizes.append(source.buckets)
        rows_only = frame.drop_columns(AS_OF)
        columns = [_column(reference, query.full_feature_names) for reference in query.references]
        return [
            self._cluster.submit(
                ray_tasks.result_block,
                self._cluster.put(rows_only.take(pa.array(np.arange(begin, end)))),
                columns,
                sizes,
                *block,
            )
            for block, (begin, end) in zip(pieces, pairwise(bounds), strict=True)
        ]

    def newest_blocks(self, query: NewestQuery) -> list[Ref]:
        """The newest row per entity, a block per bucket."""
        source = self._source(query.table, 0)
        return [
            self._cluster.submit(ray_tasks.newest_block, source, query, *rows)
            for rows in self._deal(source, query.join_keys)
        ]

    def _source(self, table: str, frame_rows: int) -> Source:
        opened = self._lake.open(table)
        rows = opened.to_pyarrow_dataset().count_rows() + frame_rows
        return Source(
            lake=str(self._lake.root.absolute()),
            table=table,
            version=opened.version(),
            buckets=max(-(-rows // self._partition_rows), self._parallel(rows)),
            limits=self._limits,
        )

    def _deal(self, source: Source, keys: Sequence[str]) -> list[list[Ref]]:
        """By bucket, the references of its rows."""
        parts = [
            self._cluster.submit_split(
                ray_tasks.bucketed, source.buckets, source, tuple(keys), Part(number, source.buckets)
            )
            for number in range(source.buckets)
        ]
        return [list(bucket) for bucket in zip(*parts, strict=True)]

    def _bounds(self, rows: int) -> list[int]:
        blocks = max(-(-rows // min(self._partition_rows, _BLOCK_ROWS)), self._parallel(rows))
        return [rows * number // blocks for number in range(blocks + 1)]

    def _parallel(self, rows: int) -> int:
        """As many tasks as can run at once, but none that is too small."""
        return max(1, min(self._cluster.slots, -(-rows // _LEAST_ROWS)))


def _dealt_frame(frame: pa.Table, key_columns: Sequence[str], buckets: int) -> list[pa.Table]:
    """By bucket, the frame's row numbers, moments and keys."""
    columns = ", ".join([ROW, AS_OF, *(f'"{column}"' for column in dict.fromkeys(key_columns))])
    with duckdb.connect() as duck:
        duck.register("frame", frame)
        bucket = ray_tasks.bucket_of(key_columns, buckets)
        return ray_tasks.deal(duck.sql(f"SELECT {columns}, {bucket} AS bucket FROM frame").to_arrow_table(), buckets)


def _column(reference: str, full_feature_names: bool) -> str:
    view, _, feature = reference.partition(":")
    return f"{view}__{feature}" if full_feature_names else feature
