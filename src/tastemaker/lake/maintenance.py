"""Keeping the lake's tables fast and small while the worker appends to them.

The worker commits a small file every second or so; compaction rewrites many of them as few. Nothing here ever makes
an append fail: an append conflicts with no rewrite of other files, and where maintenance loses a race it is maintenance
that tries again (https://delta.io, "Concurrency control"). Application transactions, by which appends are counted
exactly once, live in the log and its checkpoints, and outlast the files that came with them.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from tastemaker.errors import DataError
from tastemaker.lake.tables import SPILL_PREFIX, Lake

__all__ = ["SHORTEST_RETENTION", "TARGET_BYTES", "Compacted", "compact", "until_committed", "vacuum"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
TARGET_BYTES: Final = 128 * 1024 * 1024
# A query reads the files of the version that it began with, and a writer's files are in no version yet.
SHORTEST_RETENTION: Final = timedelta(hours=1)
_ATTEMPTS = 20
_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True)
class Compacted:
    """What one compaction did.

    Attributes:
        before: files that were rewritten.
        after: files that they became.
    """

    before: int
    after: int


def compact(lake: Lake, table: str, *, target_bytes: int = TARGET_BYTES, tasks: int = 1) -> Compacted:
    """Rewrite small files as few of about a target size, in their order, and checkpoint the log.

    The old files stay for those who read an older version, until :func:`vacuum`.

    Args:
        lake: where the table is.
        table: its name.
        target_bytes: of one file; larger ones are left alone.
        tasks: files written at once; each takes memory.

    Raises:
        DataError: the table does not exist, or other maintenance kept changing the same files.
    """
    if target_bytes <= 0:
        raise DataError(f"a file's target size is a positive number of bytes, not {target_bytes}")

    def run(opened: DeltaTable) -> Compacted:
        done = opened.optimize.compact(target_size=target_bytes, max_concurrent_tasks=tasks)
        return Compacted(done["numFilesRemoved"], done["numFilesAdded"])

    compacted = until_committed(lake, table, run)
    if compacted.before:
        # Delta checkpoints every hundred commits by itself. One right here lets every later open skip the entries of
        # all the files that are gone.
        lake.open(table).create_checkpoint()
    return compacted


def vacuum(lake: Lake, table: str, *, retention: timedelta = timedelta(days=7), dry_run: bool = False) -> int:
    """Delete files that no version younger than ``retention`` needs, and log entries past Delta's own retention.

    Args:
        lake: where the table is.
        table: its name.
        retention: how long a replaced file stays, and with it the table's former versions.
        dry_run: only count.

    Returns:
        How many files.

    Raises:
        DataError: the table does not exist, or ``retention`` would take files away under who reads them.
    """
    if retention < SHORTEST_RETENTION:
        raise DataError(
            f"files have to be kept for at least {SHORTEST_RETENTION}, not {retention}: a query or a commit may still"
            " need them"
        )

    def run(opened: DeltaTable) -> int:
        # "full" finds also what a killed writer left behind; by its age, so that no commit under way loses its file.
        hours = -(-int(retention.total_seconds()) // 3600)
        return len(opened.vacuum(hours, dry_run=dry_run, enforce_retention_duration=False, full=True))

    files = until_committed(lake, table, run)
    if not dry_run:
        lake.open(table).cleanup_metadata()
        _sweep_spills(lake, retention)
    return files


def until_committed(lake: Lake, table: str, run: Callable[[DeltaTable], T]) -> T:
    """Run a change of a table on its newest version; again when another commit came in between.

    Args:
        lake: where the table is.
        table: its name.
        run: computes and commits the change; must be repeatable.

    Raises:
        DataError: the table does not exist, or all attempts lost.
    """
    pause_s = 0.05
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return run(lake.open(table))
        except CommitFailedError as error:
            if attempt == _ATTEMPTS:
                raise DataError(
                    f"{table}: {_ATTEMPTS} attempts lost to other commits, the last time because {error}; run it again"
                    " when less other maintenance runs"
                ) from error
            _LOG.info("%s changed meanwhile, trying again: %s", table, error)
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    raise AssertionError("unreachable")


def _sweep_spills(lake: Lake, older_than: timedelta) -> None:
    """Remove what queries of killed processes had spilled."""
    oldest = time.time() - older_than.total_seconds()
    for path in lake.root.glob(f"{SPILL_PREFIX}*"):
        if os.stat(path).st_mtime < oldest:
            shutil.rmtree(path, ignore_errors=True)
