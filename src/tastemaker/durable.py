"""Files that several processes change: one process at a time, and whole or not at all, also after a crash."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from tastemaker.errors import DataError

__all__ = ["locked", "read_record", "replace_file", "sync_directory"]

Record = TypeVar("Record")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, which is made where it is not there; the kernel frees it when the process dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file: a reader sees the old or the new one, also after a crash. Its owner alone can read it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_record(path: Path, record: type[Record], remedy: str) -> Record | None:
    """Read a JSON file that is replaced as a whole; None where there is none. Safe while another process replaces it.

    Args:
        path: of the file.
        record: what it holds.
        remedy: what to do about a file that does not read, for the error.

    Raises:
        DataError: the file is damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=record)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise DataError(f"{path} is damaged ({error}); {remedy}") from error


def sync_directory(directory: Path) -> None:
    """Let a file that was made or replaced in a directory be there after a crash, too."""
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
