"""Appends from Kafka, exactly once, also while several processes append to one table.

The lake's word on how far a partition is in a table is the version of an application transaction of its own
(:func:`app_id`), committed with the rows. A commit that raced with another one for the same partition fails, because
Delta takes a transaction of one application as a conflict with another of it; whoever lost looks at what is there now
and appends only what comes after (https://github.com/delta-io/delta/blob/master/PROTOCOL.md, "Transaction
Identifiers").
"""

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from tastemaker import names

__all__ = ["app_id", "append_newer", "committed_offsets"]


def app_id(topic: str, partition: int) -> str:
    """The application id of a partition; its version in a table is the last offset that the table holds."""
    return f"worker:{topic}:{partition}"


def committed_offsets(table: DeltaTable, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The last offset that a table holds, by partition; without those of which it has nothing."""
    found = {partition: table.transaction_version(app_id(topic, partition)) for partition in partitions}
    return {partition: offset for partition, offset in found.items() if offset is not None}


def append_newer(table: DeltaTable, topic: str, rows: pa.Table, last: Mapping[int, int]) -> int:
    """Append the rows that the table does not hold yet, and note the offsets in the same commit.

    Args:
        table: as it was when it was opened or last appended to; brought up to date here.
        topic: where the rows come from.
        rows: with the table's columns, those of partition and offset among them.
        last: by partition the last offset up to which everything was dealt with, rows or not.

    Returns:
        How many rows were appended.

    Raises:
        deltalake.exceptions.CommitFailedError: another process appended from one of these partitions meanwhile;
            call again.
    """
    table.update_incremental()
    committed = committed_offsets(table, topic, last)
    newer = {partition: offset for partition, offset in last.items() if offset > committed.get(partition, -1)}
    if not newer:
        return 0
    for partition, offset in committed.items():
        held = pc.and_(pc.equal(rows[names.PARTITION], partition), pc.less_equal(rows[names.OFFSET], offset))
        if rows.num_rows and pc.any(held).as_py():
            rows = rows.filter(pc.invert(held))
    write_deltalake(
        table,
        rows,
        mode="append",
        commit_properties=CommitProperties(
            app_transactions=[Transaction(app_id(topic, partition), offset) for partition, offset in newer.items()]
        ),
    )
    return int(rows.num_rows)
