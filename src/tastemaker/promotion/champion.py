"""The champion pointer: one small file that says which release is in production, replaced atomically."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from tastemaker.errors import DataError

__all__ = ["CHAMPION_NAME", "Champion", "locked", "read_champion", "write_champion"]

CHAMPION_NAME = "champion.json"
_LOCK_NAME = ".lock"
_DEPTH = 10  # how many predecessors are kept: as many rollbacks in a row are possible


class Champion(msgspec.Struct, frozen=True, kw_only=True):
    """The release in production.

    Attributes:
        release: its id.
        bento: tag of the Bento that serves it.
        promoted_at: when it became champion (UTC).
        action: whether it got there by a promotion or a rollback.
        previous: the champion that a rollback goes back to.
    """

    release: str
    bento: str
    promoted_at: datetime
    action: Literal["promote", "rollback"] = "promote"
    previous: "Champion | None" = None


def read_champion(directory: Path) -> Champion | None:
    """The champion of a directory; None before the first promotion. Safe while another process promotes.

    Raises:
        DataError: the file is damaged.
    """
    path = directory / CHAMPION_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Champion)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise DataError(f"{path} is damaged ({error}); remove it and promote a release again") from error


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
