"""From a location to the online store that is there."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from tastemaker.errors import DataError
from tastemaker.features.stores.protocol import OnlineStore, StoreReader

__all__ = ["MEMORY", "REDIS_SCHEMES", "find_online_reader", "open_online_reader", "open_online_store", "stored_bytes"]

MEMORY: Final = "memory:"
REDIS_SCHEMES: Final = ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://")


def open_online_store(location: Path | str) -> OnlineStore:
    """Open a store for writing; makes it when it is missing.

    Args:
        location: a path: an SQLite file. ``memory:NAME``: in this process, shared by all who open that name while
            one of them has it open. ``redis://HOST:PORT/DB``, ``rediss://`` (TLS), ``redis+cluster://HOST:PORT``,
            ``rediss+cluster://``: a Redis or Valkey server or cluster; ``?prefix=NAME`` keeps several platforms apart.

    Raises:
        DataError: what is there is no online store, or the server cannot be reached.
    """
    if isinstance(location, str) and location.startswith(MEMORY):
        from tastemaker.features.stores.memory import MemoryStore

        return MemoryStore(location.removeprefix(MEMORY))
    if isinstance(location, str) and location.startswith(REDIS_SCHEMES):
        from tastemaker.features.stores.redis import RedisStore

        return RedisStore(location)
    from tastemaker.features.stores.sqlite import SqliteStore

    return SqliteStore(_path(location))


def open_online_reader(location: Path | str, *, mapped: bool = True) -> StoreReader:
    """Open a store for reading only.

    Args:
        location: as of :func:`open_online_store`.
        mapped: whether a file is mapped into memory, which is faster; who walks over all of it would map all of it.

    Raises:
        DataError: there is no store, it is of another format, or the server cannot be reached.
    """
    if isinstance(location, str) and location.startswith(MEMORY):
        from tastemaker.features.stores.memory import find_memory

        return find_memory(location.removeprefix(MEMORY))
    if isinstance(location, str) and location.startswith(REDIS_SCHEMES):
        from tastemaker.features.stores.redis_reader import RedisReader

        return RedisReader(location)
    from tastemaker.features.stores.sqlite_reader import SqliteReader

    return SqliteReader(_path(location), mapped=mapped)


@contextmanager
def find_online_reader(location: Path | str) -> Iterator[StoreReader | None]:
    """As :func:`open_online_reader`, for as long as it is needed; None where there is no file yet."""
    if isinstance(location, Path) and not location.exists():
        yield None
        return
    with closing(open_online_reader(location)) as reader:
        yield reader


def stored_bytes(location: Path | str) -> int | None:
    """The size of an embedded store's files; None of a server, which tells its size itself."""
    if not isinstance(location, Path):
        return None
    files = [location, location.with_name(location.name + "-wal")]
    return sum(file.stat().st_size for file in files if file.exists())


def _path(location: Path | str) -> Path:
    if isinstance(location, str) and "://" in location:
        scheme = location.split("://")[0]
        raise DataError(f"no online store speaks {scheme!r}; give a path, memory:NAME or redis://HOST:PORT")
    return Path(location)
