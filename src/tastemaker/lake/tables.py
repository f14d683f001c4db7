"""The lake: Delta tables of Parquet files, appended exactly once, computed on with DuckDB.

An append carries an application transaction ``(app_id, version)`` in the Delta log, in the same atomic
commit as its rows. Whoever re-delivers a batch with a version that is not newer changes nothing
(https://delta.io, "Idempotent writes").
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.lake.views import current_files, select_sql

__all__ = ["SCHEMAS", "SPILL_PREFIX", "Lake"]

SPILL_PREFIX: Final = ".spill-"
_ATTEMPTS = 5
_APPEND_ATTEMPTS = 20
_LOG = logging.getLogger(__name__)
_TIME = pa.timestamp("us", tz="UTC")

SCHEMAS: Mapping[str, pa.Schema] = {
    names.TABLE_EVENTS: pa.schema(
        [
            (names.EVENT_ID, pa.string()),
            (names.TYPE, pa.string()),
            (names.USER_ID, pa.string()),
            (names.SESSION_ID, pa.string()),
            (names.ITEM_ID, pa.string()),
            (names.OCCURRED_AT, _TIME),
            (names.VALUE, pa.float64()),
            (names.CATEGORY, pa.string()),  # path joined with "/"
            (names.PRICE, pa.float64()),
            (names.CORRECTS, pa.string()),
            (names.REQUEST_ID, pa.string()),
            (names.POSITION, pa.int32()),
            (names.CONTEXT, pa.string()),  # JSON object
            (names.SCHEMA_VERSION, pa.int32()),
            (names.EXTRA, pa.string()),  # JSON object
            (names.INGESTED_AT, _TIME),
            (names.PARTITION, pa.int32()),  # -1 for rows that did not come through Kafka
            (names.OFFSET, pa.int64()),
        ]
    ),
    names.TABLE_ITEMS: pa.schema(
        [
            (names.ITEM_ID, pa.string()),
            (names.TITLE, pa.string()),
            (names.CATEGORY, pa.list_(pa.string())),
            (names.PRICE, pa.float64()),
            (names.BRAND, pa.string()),
            (names.ATTRIBUTES, pa.string()),  # JSON object
            (names.AVAILABLE, pa.bool_()),
            (names.CREATED_AT, _TIME),
            (names.UPDATED_AT, _TIME),  # the newest row of an item wins
            (names.DELETED, pa.bool_()),  # a tombstone
            (names.PARTITION, pa.int32()),
            (names.OFFSET, pa.int64()),
        ]
    ),
    names.TABLE_ITEM_CONTENT: pa.schema(
        [
            (names.ITEM_ID, pa.string()),
            (names.VECTOR, pa.list_(pa.float64())),
            (names.CONTENT_VERSION, pa.string()),  # vectors of one version are comparable
            (names.UPDATED_AT, _TIME),  # that of the product's version
            (names.CREATED_AT, _TIME),  # when the vector was computed; of equal times the later one wins
        ]
    ),
    names.TABLE_SERVED_LISTS: pa.schema(
        [
            (names.REQUEST_ID, pa.string()),
            (names.SERVED_AT, _TIME),
            (names.USER_ID, pa.string()),
            (names.SESSION_ID, pa.string()),
            ("surface", pa.string()),
            ("release", pa.string()),
            ("tier", pa.string()),
            ("latency_us", pa.int64()),
            ("listed", pa.int32()),  # items of the list
            ("shadow_of", pa.string()),  # the request that this list was made for beside the one that was seen
            ("stands_in_for", pa.string()),  # the release that failed to make it
            ("served_list", pa.string()),  # the whole ServedList as JSON
            (names.PARTITION, pa.int32()),
            (names.OFFSET, pa.int64()),
        ]
    ),
}


class Lake:
    """The Delta tables under one directory.

    Args:
        root: the lake's directory; made when missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, table: str) -> Path:
        """The directory of one table.

        Raises:
            DataError: no table has that name.
        """
        if table not in SCHEMAS:
            raise DataError(f"no lake table is called {table!r}; one of {', '.join(SCHEMAS)}")
        return self.root / table

    def create(self) -> None:
        """Create the tables that do not exist yet, empty, and add the columns that existing ones lack.

        Raises:
            DataError: a column exists with another type, so the table is of a version that this one cannot read.
        """
        for table, schema in SCHEMAS.items():
            path = str(self.path(table))
            DeltaTable.create(path, schema=schema, mode="ignore")
            for attempt in range(_ATTEMPTS):
                opened = DeltaTable(path)
                missing = _missing_columns(opened, schema)
                if not missing:
                    break
                try:
                    opened.alter.add_columns(Schema.from_arrow(pa.schema(missing)).fields)
                except CommitFailedError:  # another process changes the table; perhaps it adds the same columns
                    if attempt == _ATTEMPTS - 1:
                        raise

    def open(self, table: str) -> DeltaTable:
        """The Delta table as it is now.

        Raises:
            DataError: the table does not exist yet.
        """
        try:
            return DeltaTable(str(self.path(table)))
        except TableNotFoundError as error:
            raise DataError(f"the lake at {self.root} has no table {table!r}; import data first") from error

    def versions(self, table: str, app_ids: Iterable[str]) -> dict[str, int]:
        """The last committed version of each application that has one."""
        opened = self.open(table)
        found = {app_id: opened.transaction_version(app_id) for app_id in app_ids}
        return {app_id: version for app_id, version in found.items() if version is not None}

    def append(self, table: str, rows: pa.Table, transactions: Mapping[str, int]) -> bool:
        """Append rows once.

        Args:
            table: its name.
            rows: shape and types of ``SCHEMAS[table]``.
            transactions: version by application id. Versions grow; the rows of one call must all be newer
                than what these applications committed before.

        Returns:
            False when every transaction was committed before, so that nothing was written.
        """
        checked = rows.cast(SCHEMAS[table])
        for _ in range(_APPEND_ATTEMPTS - 1):
            try:
                return self._append_once(table, checked, transactions)
            except CommitFailedError as error:
                # Delta takes an expiry that came in between for a conflict, though an append reads nothing that it
                # removed. Whether another process brought the same rows is asked anew.
                _LOG.info("%s changed meanwhile, appending again: %s", table, error)
        return self._append_once(table, checked, transactions)

    def _append_once(self, table: str, rows: pa.Table, transactions: Mapping[str, int]) -> bool:
        committed = self.versions(table, transactions)
        if all(committed.get(app_id, -1) >= version for app_id, version in transactions.items()):
            return False
        write_deltalake(
            str(self.path(table)),
            rows,
            mode="append",
            commit_properties=CommitProperties(
                app_transactions=[Transaction(app_id, version) for app_id, version in transactions.items()]
            ),
        )
        return True

    def connect(self, memory_limit: str | None = None, threads: int | None = None) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with every existing table as a view of its current version.

        The views have the columns of :data:`SCHEMAS`, in order, also where a table lacks a newer one (NULL).

        Args:
            memory_limit: such as ``"2GB"``; what exceeds it is spilled to the lake's disk. DuckDB's own default
                (80 % of the machine) when absent.
            threads: how many cores one query may use; all when absent.

        Raises:
            DataError: a table has deletion vectors (see :func:`tastemaker.lake.views.current_files`).
        """
        config: dict[str, str | int] = {"temp_directory": str(self.root / f"{SPILL_PREFIX}{uuid4().hex}")}
        if memory_limit is not None:
            config["memory_limit"] = memory_limit
        if threads is not None:
            config["threads"] = threads
        connection = duckdb.connect(config=config)
        connection.execute("SET TimeZone = 'UTC'")
        for table, schema in SCHEMAS.items():
            if (self.path(table) / "_delta_log").is_dir():
                files = current_files(self.open(table), self.path(table))
                connection.execute(f"CREATE VIEW {table} AS {select_sql(files, schema)}")
        return connection


def _missing_columns(table: DeltaTable, schema: pa.Schema) -> list[pa.Field]:
    """The columns of a schema that a table lacks.

    Raises:
        DataError: a column has another type.
    """
    existing = {field.name: field.type for field in pa.schema(table.schema().to_arrow())}
    for field in schema:
        found = existing.get(field.name, field.type)
        # Only the names of a list's elements differ between writers.
        if found != field.type and not (pa.types.is_list(found) and found.value_type == field.type.value_type):
            raise DataError(
                f"column {field.name!r} of {table.table_uri} is {found}, but this version needs {field.type}; "
                "export the table, rewrite the column and import it again"
            )
    return [field for field in schema if field.name not in existing]
