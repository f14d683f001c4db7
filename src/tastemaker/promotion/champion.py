"""Writes the champion pointer: the file is replaced atomically, under a lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tastemaker import durable
from tastemaker.release.champion import CHAMPION_NAME, Champion, read_champion

__all__ = ["CHAMPION_NAME", "Champion", "locked", "read_champion", "write_champion"]

_LOCK_NAME = ".lock"
_DEPTH = 10  # how many predecessors are kept: as many rollbacks in a row are possible


def write_champion(directory: Path, champion: Champion) -> None:
    """Replace the pointer: a reader sees the old or the new one, also after a crash. Call it under the lock."""
    content = msgspec.json.format(msgspec.json.encode(_cut(champion, _DEPTH)), indent=2)
    durable.replace_file(directory / CHAMPION_NAME, content)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; the kernel frees it when the process dies."""
    directory.mkdir(parents=True, exist_ok=True)
    with durable.locked(directory / _LOCK_NAME):
        yield


def _cut(champion: Champion, depth: int) -> Champion:
    previous = None if champion.previous is None or depth == 0 else _cut(champion.previous, depth - 1)
    return msgspec.structs.replace(champion, previous=previous)
