"""The consumer group of the workers that share a lake, and their names in it."""

import os
import socket
from contextlib import suppress
from uuid import uuid4

from tastemaker.lake.tables import Lake

__all__ = ["group_of", "member_of"]


def group_of(lake: Lake) -> str:
    """The group of a lake's workers; made up once, and kept in the lake.

    Workers of different lakes at one broker each need every record, so that no name can be fixed for all.
    """
    path = lake.root / "worker-group"
    if not path.exists():
        made = path.with_name(f"{path.name}.{os.getpid()}")
        made.write_text(f"tastemaker-worker-{uuid4().hex}")
        with suppress(FileExistsError):  # another worker was first; a link, unlike a rename, leaves its file alone
            os.link(made, path)
        made.unlink()
    return path.read_text().strip()


def member_of(slot: int) -> str:
    """The name of a worker in its group: the same when it starts again on the same machine in the same slot."""
    host = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in socket.gethostname())
    return f"{host[:200]}-{slot}"
