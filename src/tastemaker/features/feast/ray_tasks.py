"""What one worker of a cluster computes: a bucket of a table's rows, or a block of the result. Without Ray and Feast.

A bucket holds all rows of some entities, by a hash of the entity's columns, so that a worker computes the features of
its entities from its bucket alone.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.features.sql.expressions import literals
from tastemaker.features.sql.lake_queries import FRAME, ROW, NewestQuery, TrainingQuery, newest_rows, training_rows
from tastemaker.lake.tables import SCHEMAS, Lake

__all__ = [
    "Deal",
    "Part",
    "Source",
    "bucketed",
    "deal",
    "hash_of",
    "limits_of",
    "newest_block",
    "result_block",
    "training_blocks",
]

_BUCKET: Final = "bucket"
# No feature reads these columns of an event: they stay in the files.
_UNREAD: Final = frozenset({names.CONTEXT, names.EXTRA, names.REQUEST_ID, names.POSITION, names.SCHEMA_VERSION})
_DUCKDB_SHARE: Final = 0.7  # of a task's memory; the rest is for Arrow and Python


@dataclass(frozen=True, slots=True)
class Source:
    """A table of the lake as all tasks of a query read it.

    Attributes:
        lake: root of the lake, on a path that every worker has.
        table: name of the table.
        version: the Delta version that they read, however late they start.
        buckets: into how many buckets its rows are dealt.
        duckdb_version: of the driver; another one may hash differently.
        limits: DuckDB settings of a task, such as ``threads`` and ``memory_limit``.
    """

    lake: str
    table: str
    version: int
    buckets: int
    duckdb_version: str = duckdb.__version__
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deal:
    """How the rows of a table are dealt to buckets.

    Attributes:
        keys: columns of the entity.
        types: event types that are wanted; empty for all rows.
        known_keys_only: leave out rows without an entity.
    """

    keys: tuple[str, ...]
    types: tuple[str, ...] = ()
    known_keys_only: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One of several equal parts of a table's row groups."""

    number: int
    parts: int


def hash_of(columns: Sequence[str]) -> str:
    """A number for the values of some columns, as SQL."""
    values = ", ".join(f'CAST("{column}" AS VARCHAR)' for column in columns)
    return f"hash({values})" if columns else "0::UBIGINT"


def bucketed(source: Source, how: Deal, part: Part, wanted: pa.Table | None = None) -> list[pa.Table]:
    """Deal a part of a table's rows to the buckets of their entities.

    A row that corrects another goes to every bucket: what it corrects may belong to another entity.

    Args:
        source: the table.
        how: which rows go where.
        part: which row groups to read.
        wanted: with a column ``wanted``, the hashes of the entities that are asked for; other rows stay behind.

    Returns:
        One table per bucket.

    Raises:
        DataError: this process has another DuckDB than the driver.
    """
    if duckdb.__version__ != source.duckdb_version:
        raise DataError(
            f"a worker has DuckDB {duckdb.__version__} and the driver {source.duckdb_version}, which may deal rows"
            " differently; install the same requirements on every node"
        )
    opened = Lake(Path(source.lake)).open(source.table)
    opened.load_as_version(source.version)
    whole = opened.to_pyarrow_dataset()
    groups = [group for fragment in whole.get_fragments() for group in fragment.split_by_row_group()]
    schema = pa.unify_schemas([whole.schema, pa.schema(_missing(source.table, whole.schema))])
    rows = pa.dataset.FileSystemDataset(groups[part.number :: part.parts], schema, whole.format, whole.filesystem)
    conditions = [f'"{key}" IS NOT NULL' for key in how.keys] if how.known_keys_only else []
    if how.types:
        conditions.append(f"{names.TYPE} IN ({literals(how.types)})")
    if wanted is not None:
        conditions.append(f"{hash_of(how.keys)} IN (SELECT wanted FROM wanted_keys)")
    kept = " AND ".join(conditions) or "true"
    corrects = names.CORRECTS in schema.names
    kept = f"({kept}) OR {names.CORRECTS} IS NOT NULL" if corrects else kept
    columns = ", ".join(column for column in schema.names if column not in _UNREAD)
    with duckdb.connect() as duck, _limited(duck, source):
        duck.register("part_rows", rows)
        if wanted is not None:
            duck.register("wanted_keys", wanted)
        bucket = f"CAST({hash_of(how.keys)} % {source.buckets} AS INTEGER) AS {_BUCKET}"
        read = duck.sql(f"SELECT {columns}, {bucket} FROM part_rows WHERE {kept}").to_arrow_table()
    dealt = deal(read, source.buckets)
    if not corrects:
        return dealt
    corrections = read.filter(read[names.CORRECTS].is_valid())
    buckets = corrections[_BUCKET].to_numpy()
    corrections = corrections.drop_columns(_BUCKET)
    return [
        pa.concat_tables([own, corrections.filter(pa.array(buckets != number))]) for number, own in enumerate(dealt)
    ]


def deal(rows: pa.Table, buckets: int) -> list[pa.Table]:
    """Split rows by their column ``bucket``, which the results lack; copies, so that a bucket carries no other."""
    numbers = rows[_BUCKET].to_numpy()
    rows = rows.drop_columns(_BUCKET)
    order = np.argsort(numbers, kind="stable")
    ends = np.searchsorted(numbers[order], np.arange(buckets + 1))
    return [rows.take(pa.array(order[begin:end])) for begin, end in pairwise(ends)]


def training_blocks(
    source: Source, query: TrainingQuery, bounds: Sequence[int], frame: pa.Table, *rows: pa.Table
) -> list[pa.Table]:
    """The features of a bucket's part of the frame.

    Args:
        source: the table that the views of the query read.
        query: what is asked of the bucket.
        bounds: first rows of the result's blocks, and the number of rows.
        frame: the part of the frame; see :func:`tastemaker.features.sql.lake_queries.training_rows`.
        rows: the bucket's rows.

    Returns:
        Per block of the result, the row numbers and features that belong to it.
    """
    with _bucket(source, rows) as duck:
        duck.register(FRAME, frame)
        answers = training_rows(duck, query)
    answers = answers.select([ROW, *(name for name in answers.column_names if name not in frame.column_names)])
    ends = np.searchsorted(answers[ROW].to_numpy(), np.asarray(bounds))
    # Copied with take: a slice would carry the whole table along into every block.
    return [answers.take(pa.array(np.arange(begin, end))) for begin, end in pairwise(ends)]


def newest_block(source: Source, query: NewestQuery, *rows: pa.Table) -> pa.Table:
    """The newest row of each entity of a bucket."""
    with _bucket(source, rows) as duck:
        return newest_rows(duck, query)


def result_block(frame: pa.Table, columns: Sequence[str], groups: Sequence[int], *pieces: pa.Table) -> pa.Table:
    """A block of the result.

    Args:
        frame: the block's rows of the frame, with :data:`ROW`.
        columns: names of the features, in the order of the result.
        groups: how many of the pieces belong to each group of views; the pieces of a group hold each row once.
        pieces: answers of :func:`training_blocks` for this block.
    """
    found: dict[str, pa.ChunkedArray] = {}
    begin = 0
    for size in groups:
        own = pa.concat_tables(pieces[begin : begin + size]).combine_chunks()
        begin += size
        own = own.take(pa.array(np.argsort(own[ROW].to_numpy())))
        if not own[ROW].equals(frame[ROW]):
            raise DataError(f"a block of {len(frame)} rows got {len(own)} answers; this is a defect of the shuffle")
        found |= {name: own[name] for name in own.column_names if name != ROW}
    block = frame.drop_columns(ROW)
    for name in columns:
        if name in found:
            block = block.append_column(name, found[name])
    return block


def limits_of(task_options: Mapping[str, Any]) -> dict[str, str]:
    """DuckDB settings that keep a task within the resources that Ray gave it."""
    limits = {"threads": str(max(1, int(task_options.get("num_cpus", 1))))}
    if memory := task_options.get("memory"):
        limits["memory_limit"] = f"{int(memory * _DUCKDB_SHARE)}B"
    return limits


def _missing(table: str, schema: pa.Schema) -> list[pa.Field]:
    """Columns that are newer than the table; its rows have nulls there, as everywhere in the lake."""
    return [column for column in SCHEMAS[table] if column.name not in schema.names]


@contextmanager
def _bucket(source: Source, rows: Sequence[pa.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The lake, where one table is but the rows of a bucket."""
    with Lake(Path(source.lake)).connect() as duck, _limited(duck, source):
        duck.execute(f"DROP VIEW IF EXISTS {source.table}")
        duck.register(source.table, pa.concat_tables(rows))
        yield duck


@contextmanager
def _limited(duck: duckdb.DuckDBPyConnection, source: Source) -> Iterator[None]:
    """Keep a connection within a task's resources; what does not fit into memory goes to a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="tastemaker-") as spill:
        for setting, value in {**source.limits, "temp_directory": spill}.items():
            duck.execute(f"SET {setting} = '{value}'")
        yield
