"""What the lake holds, from its log: without reading a data file, however large a table is."""

import contextlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.lake.retention import TIME_COLUMNS
from tastemaker.lake.tables import Lake

__all__ = ["TableStatus", "table_status"]


@dataclass(frozen=True)
class TableStatus:
    """One table.

    Attributes:
        table: its name.
        version: of the Delta table; grows by one with each commit.
        rows: of the current version.
        files: of the current version.
        bytes: of these files.
        bytes_on_disk: with the files of older versions and the log.
        oldest: when the first of its rows happened; None when it is empty.
        newest: when the last did.
    """

    table: str
    version: int
    rows: int
    files: int
    bytes: int
    bytes_on_disk: int
    oldest: datetime | None
    newest: datetime | None


def table_status(lake: Lake, table: str) -> TableStatus:
    """The state of a table.

    Raises:
        DataError: the table does not exist.
    """
    opened = lake.open(table)
    files = pa.table(opened.get_add_actions(flatten=True))
    time = TIME_COLUMNS[table]
    return TableStatus(
        table=table,
        version=opened.version(),
        rows=_sum(files, "num_records"),
        files=files.num_rows,
        bytes=_sum(files, "size_bytes"),
        bytes_on_disk=_bytes_under(lake.path(table)),
        # A file without rows has no statistics.
        oldest=pc.min(files[f"min.{time}"]).as_py() if f"min.{time}" in files.column_names else None,
        newest=pc.max(files[f"max.{time}"]).as_py() if f"max.{time}" in files.column_names else None,
    )


def _bytes_under(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a vacuum was faster
            total += path.lstat().st_size if path.is_file() else 0
    return total


def _sum(files: pa.Table, column: str) -> int:
    return int(pc.sum(files[column]).as_py() or 0)
