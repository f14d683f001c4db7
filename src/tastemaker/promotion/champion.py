"""Writes the champion pointer: the file is replaced atomically, under a lock."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tastemaker.release.champion import CHAMPION_NAME, Champion, read_champion

__all__ = ["CHAMPION_NAME", "Champion", "locked", "read_champion", "write_champion"]

_LOCK_NAME = ".lock"
_DEPTH = 10  # how many predecessors are kept: as many rollbacks in a row are possible


def write_champion(directory: Path, champion: Champion) -> None:
    """Replace the pointer: a reader sees the old or the new one, also after a crash. Call it under the lock."""
    content = msgspec.json.format(msgspec.json.encode(_cut(champion, _DEPTH)), indent=2)
    handle, temporary = tempfile.mkstemp(dir=directory, prefix=f"{CHAMPION_NAME}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, directory / CHAMPION_NAME)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; the kernel frees it when the process dies."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / _LOCK_NAME).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _cut(champion: Champion, depth: int) -> Champion:
    previous = None if champion.previous is None or depth == 0 else _cut(champion.previous, depth - 1)
    return msgspec.structs.replace(champion, previous=previous)
