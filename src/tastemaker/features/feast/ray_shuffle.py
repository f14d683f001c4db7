"""How a query is dealt to the tasks of a cluster: rows to the buckets of their entities, answers back to row order.

Two shuffles, as in MapReduce (Dean and Ghemawat, OSDI 2004):

1. Each part of a lake table is read once and dealt to buckets by a hash of the entity's columns.
2. Per bucket, the SQL executor computes the views of these columns for the bucket's rows of the frame. The answers are
   cut into blocks of consecutive rows, and each block of the result is put together from its pieces.

What crosses this process is the frame on its way out, and of the result only what is asked for.
"""

from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from tastemaker.features.feast import ray_tasks
from tastemaker.features.feast.ray_cluster import Cluster, Ref
from tastemaker.features.feast.ray_tasks import Deal, Part, Source
from tastemaker.features.sql.lake_queries import AS_OF, ROW, AskedView, NewestQuery, TrainingQuery
from tastemaker.lake.tables import Lake

__all__ = ["Shuffle"]

_LEAST_ROWS: Final = 100_000  # a task's start costs more than the work on fewer rows
_BLOCK_ROWS: Final = 1_000_000
_MOST_WANTED: Final = 10_000_000  # 80 MB of hashes, which every node holds


class _Entity(NamedTuple):
    """What a table is dealt by; its buckets answer all views of the table with these join keys."""

    table: str
    join_keys: tuple[str, ...]


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
            frame: as of :func:`tastemaker.features.sql.lake_queries.training_rows`, rows by :data:`ROW` from 0.
            query: what is asked.
        """
        bounds = self._bounds(len(frame))
        pieces: list[list[Ref]] = [[] for _ in pairwise(bounds)]
        sizes = []
        by_entity: dict[_Entity, list[AskedView]] = {}
        for view in query.views:
            by_entity.setdefault(_Entity(view.plan.table, view.plan.join_keys), []).append(view)
        sources = {table: self._source(table, len(frame)) for table, _ in by_entity}
        for entity, views in by_entity.items():
            source = sources[entity.table]
            types = {name for view in views for name in view.plan.types if view.plan.kind != "batch"}
            deal = Deal(entity.join_keys, tuple(sorted(types)), known_keys_only=True)
            # Views of one entity may be asked for by different columns of the frame, such as buyer and seller.
            by_columns: dict[tuple[str, ...], list[AskedView]] = {}
            for view in views:
                by_columns.setdefault(view.key_columns, []).append(view)
            buckets = self._deal(source, deal, _wanted(frame, list(by_columns)))
            for columns, own in by_columns.items():
                asked = TrainingQuery(tuple(own), query.references, query.full_feature_names, query.known_at)
                for rows, part in zip(buckets, _dealt_frame(frame, columns, source.buckets), strict=True):
                    answers = self._cluster.submit_split(
                        ray_tasks.training_blocks, len(pieces), source, asked, bounds, self._cluster.put(part), *rows
                    )
                    for block, answer in zip(pieces, answers, strict=True):
                        block.append(answer)
                sizes.append(source.buckets)
        rows_only = frame.drop_columns(AS_OF)
        columns_only = [_column(reference, query.full_feature_names) for reference in query.references]
        return [
            self._cluster.submit(
                ray_tasks.result_block,
                self._cluster.put(rows_only.take(pa.array(np.arange(begin, end)))),
                columns_only,
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
            for rows in self._deal(source, Deal(query.join_keys), None)
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

    def _deal(self, source: Source, how: Deal, wanted: pa.Table | None) -> list[list[Ref]]:
        """By bucket, the references of its rows."""
        keys = None if wanted is None else self._cluster.put(wanted)
        parts = [
            self._cluster.submit_split(
                ray_tasks.bucketed, source.buckets, source, how, Part(number, source.buckets), keys
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


def _wanted(frame: pa.Table, key_columns: list[tuple[str, ...]]) -> pa.Table | None:
    """The hashes of the entities in the frame; nothing where they are so many that telling them apart costs more."""
    with duckdb.connect() as duck:
        duck.register("frame", frame)
        hashes = " UNION ".join(f"SELECT {ray_tasks.hash_of(columns)} AS wanted FROM frame" for columns in key_columns)
        found = duck.sql(f"SELECT DISTINCT wanted FROM ({hashes}) LIMIT {_MOST_WANTED + 1}").to_arrow_table()
    return None if len(found) > _MOST_WANTED else found


def _dealt_frame(frame: pa.Table, key_columns: tuple[str, ...], buckets: int) -> list[pa.Table]:
    """By bucket, the frame's row numbers, moments and keys."""
    columns = ", ".join([ROW, AS_OF, *(f'"{column}"' for column in dict.fromkeys(key_columns))])
    with duckdb.connect() as duck:
        duck.register("frame", frame)
        bucket = f"CAST({ray_tasks.hash_of(key_columns)} % {buckets} AS INTEGER) AS bucket"
        return ray_tasks.deal(duck.sql(f"SELECT {columns}, {bucket} FROM frame").to_arrow_table(), buckets)


def _column(reference: str, full_feature_names: bool) -> str:
    view, _, feature = reference.partition(":")
    return f"{view}__{feature}" if full_feature_names else feature
