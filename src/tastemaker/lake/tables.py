"""The lake: Delta tables of Parquet files, appended exactly once, computed on with DuckDB.

An append carries an application transaction ``(app_id, version)`` in the Delta log, in the same atomic
commit as its rows. Whoever re-delivers a batch with a version that is not newer changes nothing
(https://delta.io, "Idempotent writes").
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError

from tastemaker import names
from tastemaker.errors import DataError

__all__ = ["SCHEMAS", "Lake"]

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
    names.TABLE_SERVED_LISTS: pa.schema(
        [
            (names.REQUEST_ID, pa.string()),
            ("served_at", _TIME),
            (names.USER_ID, pa.string()),
            (names.SESSION_ID, pa.string()),
            ("surface", pa.string()),
            ("release", pa.string()),
            ("tier", pa.string()),
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
        """Create the tables that do not exist yet, empty."""
        for table, schema in SCHEMAS.items():
            DeltaTable.create(str(self.path(table)), schema=schema, mode="ignore")

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
        committed = self.versions(table, transactions)
        if all(committed.get(app_id, -1) >= version for app_id, version in transactions.items()):
            return False
        write_deltalake(
            str(self.path(table)),
            rows.cast(SCHEMAS[table]),
            mode="append",
            commit_properties=CommitProperties(
                app_transactions=[Transaction(app_id, version) for app_id, version in transactions.items()]
            ),
        )
        return True

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with every existing table registered as a view of its current version."""
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        for table in SCHEMAS:
            if (self.path(table) / "_delta_log").is_dir():
                connection.register(table, self.open(table).to_pyarrow_dataset())
        return connection
