"""Whose lists a batch makes: every user once, ordered by id, in a Parquet file that a resumed run reads again.

The lake grows while a batch runs, so that asking it twice gives other users: the ids are written down once. DuckDB
finds and orders them, and spills to disk what its memory does not hold.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.lake.tables import Lake

__all__ = ["FROM_LAKE", "count_users", "file_hash", "user_slices", "users_source", "write_users"]

FROM_LAKE: Final = "lake"
_MEMORY: Final = "1GB"
_LONGEST: Final = 256  # characters of an id, as of tastemaker.events.contract


def users_source(users: Path | None) -> str:
    """What a manifest calls the users' origin: the lake, or a file of certain content.

    Raises:
        DataError: there is no such file, or it will not do.
    """
    if users is None:
        return FROM_LAKE
    _check(users)
    return f"file {file_hash(users)}"


def write_users(lake: Lake, users: Path | None, limit: int | None, target: Path) -> int:
    """Write the users down.

    Args:
        lake: has a user in its events, or not; asked where no file is given.
        users: a Parquet file with a column ``user_id``, in any order; ids may be there more than once, and need not be
            known to the shop.
        limit: the first so many alone; None for all.
        target: the file to write, with the one column ``user_id``.

    Returns:
        How many there are.

    Raises:
        DataError: the lake has no users, or the file has no such column, or ids that are none.
    """
    connection = lake.connect(memory_limit=_MEMORY)
    try:
        if users is None:
            if not connection.execute(
                "SELECT count(*) FROM duckdb_views() WHERE view_name = ?", [names.TABLE_EVENTS]
            ).fetchall()[0][0]:
                raise DataError(f"the lake at {lake.root} has no events; import data first: tastemaker data import")
            source = names.TABLE_EVENTS
        else:
            _check(users)
            source = f"read_parquet('{_quoted(str(users))}')"
        ids = f"SELECT DISTINCT {names.USER_ID}::VARCHAR AS {names.USER_ID} FROM {source}"
        ids = f"{ids} WHERE {names.USER_ID} IS NOT NULL ORDER BY 1"
        first = "" if limit is None else f" LIMIT {limit}"
        connection.execute(f"COPY ({ids}{first}) TO '{_quoted(str(target))}' (FORMAT parquet)")
        found = count_users(target)
        if users is None and not found:
            raise DataError(f"the events in the lake at {lake.root} name no user; a batch is for users that are known")
        (wrong,) = connection.execute(
            f"SELECT count(*) FROM read_parquet('{_quoted(str(target))}')"
            f" WHERE length({names.USER_ID}) NOT BETWEEN 1 AND {_LONGEST}"
        ).fetchall()[0]
    finally:
        connection.close()
    if wrong:
        raise DataError(
            f"{wrong} of the users in {users or lake.root} have an empty id or one of more than {_LONGEST} characters,"
            " which no event can have; take them out"
        )
    return found


def count_users(path: Path) -> int:
    """How many users were written."""
    return int(pq.read_metadata(path).num_rows)


def user_slices(path: Path, size: int) -> Iterator[list[str]]:
    """The users that were written, so many at a time; the last slice has the rest."""
    waiting: list[str] = []
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=size, columns=[names.USER_ID]):
            waiting += batch.column(0).to_pylist()
            while len(waiting) >= size:  # batches end where row groups do
                yield waiting[:size]
                waiting = waiting[size:]
    if waiting:
        yield waiting


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(users: Path) -> None:
    if not users.is_file():
        raise DataError(f"there is no file of users {users}; give a Parquet file with a column {names.USER_ID}")
    try:
        found = pq.read_schema(users).names
    except (OSError, ValueError) as error:
        raise DataError(f"{users} is no Parquet file ({error}); give one with a column {names.USER_ID}") from error
    if names.USER_ID not in found:
        raise DataError(f"{users} has no column {names.USER_ID}, but {', '.join(found)}; rename the one with the users")


def _quoted(text: str) -> str:
    return text.replace("'", "''")
