"""One writer per home directory: the lake's and the online store's exactly-once both rest on it."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tastemaker.errors import StackError

__all__ = ["writer_lock"]


@contextlib.contextmanager
def writer_lock(home: Path, purpose: str) -> Iterator[None]:
    """Hold the right to write the lake's event tables and the online state.

    The operating system frees the lock when its process ends, however it ends.

    Args:
        home: the home directory.
        purpose: told to whoever is refused meanwhile.

    Raises:
        StackError: another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / "writer.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise StackError(
                f"{holder} is writing to {home}; stop it first (`tastemaker down`), or choose another home directory"
            ) from error
        file.seek(0)
        file.truncate()
        file.write(f"{purpose} (process {os.getpid()})\n")
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()
