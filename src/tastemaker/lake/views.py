"""Delta tables as DuckDB views: their current Parquet files, read by DuckDB's own scanner.

DuckDB's scan skips row groups, reads columns in parallel and spills to disk; a registered pyarrow dataset does none
of it. The schema is given by name (``read_parquet``'s ``schema`` parameter), so that binding a view reads no file,
and a file that was written before a column existed answers NULL for it.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from tastemaker.errors import DataError

__all__ = ["current_files", "select_sql"]

_TYPES = {
    pa.string(): "VARCHAR",
    pa.float64(): "DOUBLE",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
    pa.list_(pa.string()): "VARCHAR[]",
    pa.list_(pa.float64()): "DOUBLE[]",
}


def current_files(table: DeltaTable, root: Path) -> list[Path]:
    """The Parquet files of a table's current version.

    Args:
        table: a loaded table.
        root: its directory.

    Raises:
        DataError: some rows of a file are deleted by a deletion vector, which a plain Parquet scan would not see.
    """
    # The feature alone says little (another engine may have enabled it and never used it), but without it no file
    # has one, and reading the vectors costs time.
    if "deletionVectors" in (table.protocol().reader_features or ()) and any(
        batch.num_rows for batch in table.deletion_vectors()
    ):
        raise DataError(
            f"{root} has deletion vectors, which hide rows of a file; rewrite its files first, for example with "
            "another engine's REORG TABLE ... APPLY (PURGE)"
        )
    # The log has percent-encoded paths, relative to the table.
    return [root / unquote(path) for path in pa.table(table.get_add_actions())["path"].to_pylist()]


def select_sql(files: Sequence[Path], schema: pa.Schema) -> str:
    """SQL of the rows of Parquet files, in exactly the columns and types of a schema.

    Args:
        files: may lack columns, have more, or have them in another order; there may be none at all.
        schema: of the lake's types.
    """
    kinds = {field.name: _TYPES[field.type] for field in schema}
    if not files:
        return f"SELECT {', '.join(f'NULL::{kind} AS {_name(column)}' for column, kind in kinds.items())} WHERE false"
    fields = ", ".join(
        f"{_text(column)}: {{name: {_text(column)}, type: {_text(kind)}, default_value: NULL}}"
        for column, kind in kinds.items()
    )
    paths = ", ".join(_text(_no_glob(str(file))) for file in files)
    return f"SELECT {', '.join(map(_name, kinds))} FROM read_parquet([{paths}], schema = MAP {{{fields}}})"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _no_glob(path: str) -> str:
    """A path that DuckDB does not take for a pattern."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
