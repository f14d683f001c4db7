"""What a batch is of: written before its first list, and compared by whoever goes on with it."""

import os
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from tastemaker.durable import sync_directory
from tastemaker.errors import DataError

__all__ = ["FORMAT", "MANIFEST", "BatchManifest", "read_manifest", "write_manifest"]

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"

# What decides the lists: a run goes on only where these are the same. By field, what it is called in an error.
_DECIDE: Final = {
    "release": "the release",
    "surface": "the surface",
    "recipe": "the surface's recipe (by its hash)",
    "k": "the length of a list",
    "rules_version": "the version of the shop's rules",
    "users_source": "the users' origin",
    "limit": "the limit of users",
}


class BatchManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A batch.

    Attributes:
        format: of the directory.
        run: id of the run; each part carries it.
        release: that makes the lists.
        surface: that they are for.
        recipe: SHA-256 of the surface's recipe.
        k: items of a list.
        rules_version: of the shop's rules; empty where it has none.
        as_of: the moment that all lists are of (UTC), in a resumed run too.
        users_source: the lake, or a file by its hash.
        limit: the first so many users alone; None for all.
        users: how many lists there are to make.
        part_users: lists of one part.
        finished: lists by tier, once all are there; None before.
    """

    format: int = FORMAT
    run: str
    release: str
    surface: str
    recipe: str
    k: int
    rules_version: str
    as_of: datetime
    users_source: str
    limit: int | None
    users: int
    part_users: int
    finished: dict[str, int] | None = None

    @property
    def parts(self) -> int:
        """How many parts it has; one without a list where there are no users."""
        return max(1, -(-self.users // self.part_users))

    def check_same(self, wanted: "BatchManifest", where: Path) -> None:
        """Refuse to go on with lists of another kind.

        Raises:
            DataError: names each difference, and the remedy.
        """
        differences = [
            f"{said} was {getattr(self, field)!r} and is {getattr(wanted, field)!r}"
            for field, said in _DECIDE.items()
            if getattr(self, field) != getattr(wanted, field)
        ]
        if differences:
            raise DataError(
                f"the batch in {where} cannot be resumed: {'; '.join(differences)}. Further lists would not go with its"
                " own: resume it with what it was begun with, or begin another one with another --out"
            )


def read_manifest(directory: Path) -> BatchManifest | None:
    """The manifest of a directory; None where none was begun.

    Raises:
        DataError: it does not read.
    """
    path = directory / MANIFEST
    try:
        found = msgspec.json.decode(path.read_bytes(), type=BatchManifest)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise DataError(f"{path} is no manifest of a batch ({error}); give another --out") from error
    if found.format != FORMAT:
        raise DataError(f"{path} has format {found.format}, this version reads {FORMAT}; give another --out")
    return found


def write_manifest(directory: Path, manifest: BatchManifest) -> None:
    """Write it, as a whole or not at all."""
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    write_atomically(directory / MANIFEST, content + b"\n")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there as a whole, also after a loss of power, or not at all."""
    scratch = path.with_name(f".{path.name}.tmp")
    with scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    sync_directory(path.parent)
