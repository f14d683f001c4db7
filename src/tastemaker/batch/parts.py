"""The lists of a batch as Parquet: a file for so many users, which is there as a whole or not at all."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tastemaker import names
from tastemaker.batch.manifest import BatchManifest
from tastemaker.durable import sync_directory
from tastemaker.errors import DataError
from tastemaker.serving.contract import RecommendationResponse

__all__ = ["LISTS", "join_parts", "joined_manifest", "part_path", "read_tiers", "write_part"]

LISTS: Final = pa.schema(
    [
        (names.USER_ID, pa.string()),
        ("rank", pa.int32()),  # from 1
        (names.ITEM_ID, pa.string()),
        ("score", pa.float32()),
        ("source", pa.string()),
        ("reason", pa.string()),
        (names.REQUEST_ID, pa.string()),
        ("release", pa.string()),
        ("tier", pa.string()),
        (names.SERVED_AT, pa.timestamp("us", tz="UTC")),
    ]
)
_RUN: Final = b"tastemaker.run"
_TIERS: Final = b"tastemaker.tiers"
_MANIFEST: Final = b"tastemaker.batch"


def part_path(directory: Path, number: int) -> Path:
    """Where a part is, once it is finished; numbers begin at 0."""
    return directory / f"part-{number:06d}.parquet"


def write_part(
    directory: Path, number: int, manifest: BatchManifest, lists: Sequence[tuple[str, RecommendationResponse]]
) -> dict[str, int]:
    """Write the lists of some users as one row group.

    Args:
        directory: of the batch.
        number: of the part.
        manifest: of the batch.
        lists: of each user.

    Returns:
        How many lists there are of each tier.
    """
    tiers: dict[str, int] = {}
    for _, response in lists:
        tiers[response.tier] = tiers.get(response.tier, 0) + 1
    shown = [(user, rank, item, made) for user, made in lists for rank, item in enumerate(made.items, 1)]
    columns = [
        [user for user, _, _, _ in shown],
        [rank for _, rank, _, _ in shown],
        [item.item_id for _, _, item, _ in shown],
        [item.score for _, _, item, _ in shown],
        [item.source for _, _, item, _ in shown],
        [item.reason for _, _, item, _ in shown],
        [made.request_id for _, _, _, made in shown],
        [made.release for _, _, _, made in shown],
        [made.tier for _, _, _, made in shown],
        [manifest.as_of] * len(shown),
    ]
    schema = LISTS.with_metadata({_RUN: manifest.run.encode(), _TIERS: msgspec.json.encode(tiers)})
    table = pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, LISTS, strict=True)], schema=schema
    )
    path = part_path(directory, number)
    scratch = _scratch(path)
    pq.write_table(table, scratch, compression="zstd", row_group_size=max(1, len(shown)))
    _settle(scratch, path)
    return tiers


def read_tiers(directory: Path, number: int, run: str) -> dict[str, int] | None:
    """Lists by tier of a finished part; None where it is not finished.

    Raises:
        DataError: the file is there, and not of this run.
    """
    path = part_path(directory, number)
    if not path.exists():
        return None
    try:
        told = pq.read_schema(path).metadata or {}
        if told[_RUN].decode() == run:
            return msgspec.json.decode(told[_TIERS], type=dict[str, int])
    except (KeyError, OSError, ValueError) as error:
        raise DataError(f"{path} is no part of a batch ({error}); move it away, or give another --out") from error
    raise DataError(f"{path} is of another run than the manifest beside it; move it away, or give another --out")


def join_parts(directory: Path, manifest: BatchManifest, target: Path) -> None:
    """Copy all parts into one file, a row group each, holding one of them at a time.

    Args:
        directory: of the parts.
        manifest: is kept in the file's metadata under ``tastemaker.batch``.
        target: the file; there as a whole or not at all.
    """
    schema = LISTS.with_metadata({_RUN: manifest.run.encode(), _MANIFEST: msgspec.json.encode(manifest)})
    scratch = _scratch(target)
    with pq.ParquetWriter(scratch, schema, compression="zstd") as writer:
        for number in range(manifest.parts):
            table = pq.read_table(part_path(directory, number)).replace_schema_metadata(schema.metadata)
            writer.write_table(table, row_group_size=max(1, table.num_rows))
    _settle(scratch, target)


def joined_manifest(path: Path) -> BatchManifest:
    """The manifest of a file of all parts.

    Raises:
        DataError: it is something else.
    """
    try:
        return msgspec.json.decode((pq.read_schema(path).metadata or {})[_MANIFEST], type=BatchManifest)
    except (KeyError, OSError, ValueError) as error:
        raise DataError(f"{path} is no file of a batch ({error}); move it away, or give another --out") from error


def _scratch(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _settle(scratch: Path, path: Path) -> None:
    """Give a finished file its name; after a loss of power it is there, or it is not, but it is never half."""
    with scratch.open("rb") as file:
        os.fsync(file.fileno())
    scratch.replace(path)
    sync_directory(path.parent)
