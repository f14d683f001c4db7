"""Who may write to a home directory, and the numbers of the workers that do.

Several workers may work beside one another: partitions are claimed in the online store, and the lake takes each offset
once. An import or a rebuild needs the home for itself. The operating system frees these locks when their process
ends, however it ends.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from tastemaker.errors import StackError

__all__ = ["building_lock", "worker_slot", "workers_run", "writer_lock"]

_MAX_WORKERS = 64


@contextlib.contextmanager
def writer_lock(home: Path, purpose: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the right to write the lake's event tables and the online state.

    Args:
        home: the home directory.
        purpose: told to whoever is refused meanwhile.
        shared: beside others that share it, as workers do; else alone.

    Raises:
        StackError: another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / "writer.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
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
        yield


@contextlib.contextmanager
def building_lock(home: Path) -> Iterator[None]:
    """Wait until no other worker opens the online store, which may mean to build it."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "building.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def workers_run(directory: Path) -> bool:
    """Whether a worker of this directory lives, of those that :func:`worker_slot` numbers."""
    for path in directory.glob("worker-*.lock"):
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
    return False


@contextlib.contextmanager
def worker_slot(directory: Path) -> Iterator[int]:
    """The lowest number that no other living worker of this directory has, from 0.

    A worker that starts again gets the number of the one that ended, and with it that one's name in the consumer
    group. One that only stands still keeps its own.

    Raises:
        StackError: there are too many workers.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for slot in range(_MAX_WORKERS):
        with (directory / f"worker-{slot}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield slot
            return
    raise StackError(f"{_MAX_WORKERS} workers run on {directory} already")
