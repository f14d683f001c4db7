"""Reading a source file with DuckDB: open it, and say clearly what is wrong with it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from tastemaker.errors import DataError

__all__ = ["connect", "dropped_counts", "identifier", "quoted", "read_source", "require_columns"]


def connect(timezone: str = "UTC") -> duckdb.DuckDBPyConnection:
    """A private in-memory DuckDB that reads times without an offset in a zone.

    Args:
        timezone: IANA name.

    Raises:
        DataError: no such zone.
    """
    connection = duckdb.connect()
    try:
        connection.execute(f"SET TimeZone = {quoted(timezone)}")
    except duckdb.Error as error:
        raise DataError(f"{timezone!r} is no timezone; use an IANA name such as 'Europe/London' or 'UTC'") from error
    return connection


def quoted(text: str) -> str:
    """Text as an SQL literal.

    >>> quoted("O'Hara")
    "'O''Hara'"
    """
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def read_source(connection: duckdb.DuckDBPyConnection, path: Path, table: str) -> tuple[dict[str, str], int]:
    """Read a CSV or Parquet file into a table, with ``source_row`` (from 1) added.

    Every CSV column is read as text. A file that does not end in ``.parquet`` or ``.pq`` is read as CSV, its
    delimiter detected; compressed CSV (``.gz``, ``.zst``) works.

    Args:
        connection: see :func:`connect`.
        path: an existing file.
        table: the name of the table to make.

    Returns:
        The DuckDB type by column, and the number of CSV lines that could not be split into these columns.

    Raises:
        DataError: the file is missing, unreadable or empty.
    """
    if not path.is_file():
        raise DataError(f"no file at {path}; check the path")
    parquet = path.suffix.lower() in {".parquet", ".pq"}
    reader = (
        f"read_parquet({quoted(str(path))})"
        if parquet
        else f"read_csv({quoted(str(path))}, header = true, all_varchar = true, quote = '\"', store_rejects = true)"
    )
    try:
        connection.execute(f"CREATE TABLE {table} AS SELECT *, row_number() OVER () AS source_row FROM {reader}")
    except duckdb.Error as error:
        kind = "Parquet" if parquet else "CSV"
        raise DataError(f"{path} does not read as {kind}: {str(error).splitlines()[0]}") from error
    described = connection.execute(f"DESCRIBE {table}").fetchall()
    types = {name: str(kind) for name, kind, *_ in described if name != "source_row"}
    rejected = 0 if parquet else _count(connection, "SELECT count(DISTINCT line) FROM reject_errors")
    if not rejected and not _count(connection, f"SELECT count(*) FROM {table}"):
        raise DataError(f"{path} is empty: it has no rows")
    return types, rejected


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])  # fetchone would leave the connection busy


def require_columns(path: Path, present: Mapping[str, str] | Iterable[str], needed: Iterable[str]) -> None:
    """Check that a source has its columns.

    Raises:
        DataError: names the missing columns and lists the available ones.
    """
    available = list(present)
    missing = [column for column in needed if column not in available]
    if missing:
        raise DataError(f"{path} has no column {', '.join(map(repr, missing))}; it has: {', '.join(available)}")


def dropped_counts(connection: duckdb.DuckDBPyConnection, table: str, rejected: int = 0) -> tuple[tuple[str, int], ...]:
    """Rows of a table by their reason in its column ``dropped``, most first.

    Args:
        connection: see :func:`connect`.
        table: its name.
        rejected: lines that never became rows, see :func:`read_source`.
    """
    counts = connection.execute(
        f"SELECT dropped, count(*) FROM {table} WHERE dropped IS NOT NULL GROUP BY ALL ORDER BY count(*) DESC, dropped"
    ).fetchall()
    unreadable = [("line does not split into the columns of the header", rejected)] if rejected else []
    return (*unreadable, *((str(reason), int(count)) for reason, count in counts))
