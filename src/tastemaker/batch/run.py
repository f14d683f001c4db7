"""Make the lists of all users, part by part; a run that was killed goes on after its last finished part.

Nothing is held but one part's lists. What was finished stays: parts get their names when they are whole, so that a
run which is killed at any moment has every list of its finished parts once, and none of the others.
"""

import fcntl
import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from tastemaker.batch.manifest import MANIFEST, BatchManifest, read_manifest, write_manifest
from tastemaker.batch.parts import join_parts, joined_manifest, read_tiers, write_part
from tastemaker.batch.users import user_slices, users_source, write_users
from tastemaker.errors import DataError, ServingError
from tastemaker.lake.tables import Lake
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse
from tastemaker.serving.recipe import Recipe

__all__ = ["Batch", "BatchResult", "MakeList", "run_batch"]

MakeList = Callable[[RecommendationRequest], RecommendationResponse]
_USERS: Final = "_users.parquet"
_LOCK: Final = ".lock"
_OWN: Final = frozenset({_LOCK, _USERS, f".{MANIFEST}.tmp"})  # what a run leaves that is killed before its manifest
_WHOLE: Final = frozenset({"full", "cold_start"})
_EVERY: Final = 50  # lists between two words about progress


@dataclass(frozen=True)
class Batch:
    """What is wanted.

    Attributes:
        out: a directory of parts, or one file where the name ends in ``.parquet``.
        recipe: of the surface that the lists are for.
        k: items of a list.
        release: id of the release that makes them.
        rules_version: of the shop's rules.
        users: a Parquet file with a column ``user_id``; None takes all users of the lake.
        limit: the first so many users alone; None for all.
        part_users: lists of one part: what a killed run loses at most, and what is held in memory.
        resume: go on with what is in ``out``, if anything is.
    """

    out: Path
    recipe: Recipe
    k: int
    release: str
    rules_version: str
    users: Path | None = None
    limit: int | None = None
    part_users: int = 5_000
    resume: bool = False

    @property
    def one_file(self) -> bool:
        """Whether all lists go into one file."""
        return self.out.suffix == ".parquet"

    @property
    def directory(self) -> Path:
        """Where parts and manifest are."""
        return self.out.with_name(f"{self.out.name}.parts") if self.one_file else self.out


@dataclass(frozen=True)
class BatchResult:
    """What there is.

    Attributes:
        manifest: of the batch, which is finished.
        kept: lists that an earlier run had made.
    """

    manifest: BatchManifest
    kept: int


def run_batch(
    batch: Batch,
    lake: Lake,
    now: datetime,
    open_lists: Callable[[datetime], MakeList],
    progress: Callable[[int, int], None] = lambda done, users: None,
) -> BatchResult:
    """Make the lists that are not there yet.

    Args:
        batch: what is wanted.
        lake: has the users, where no file does.
        now: the moment that a new batch's lists are of; one that is resumed keeps its own.
        open_lists: gives what makes the lists of a moment.
        progress: told how many lists there are, and how many there are to be.

    Raises:
        DataError: the surface needs a page; there is a batch already, or one of other lists; another process makes it.
        ServingError: a list is of a lower tier, because a dependency does not answer: lists that go out by the
            thousand should be whole ones. What is finished stays.
    """
    if batch.recipe.requires:
        raise DataError(
            f"lists of the surface {batch.recipe.surface!r} need the {' and the '.join(batch.recipe.requires)} of a"
            " page, and a batch has no page; use a surface without, such as email, home or buy_again"
        )
    if batch.out.exists() and batch.one_file:
        return _joined_before(batch, now)
    batch.directory.mkdir(parents=True, exist_ok=True)
    with _alone(batch.directory):
        standing = _standing(batch, now)
        make = open_lists(now if standing is None else standing.as_of)
        manifest = standing or _begin(batch, lake, now)
        if manifest.finished is None:
            tiers, kept = _make(batch.directory, manifest, make, progress)
            manifest = msgspec.structs.replace(manifest, finished=dict(sorted(tiers.items())))
            write_manifest(batch.directory, manifest)
        else:
            kept = manifest.users
            progress(kept, kept)
        (batch.directory / _USERS).unlink(missing_ok=True)
        if batch.one_file:
            join_parts(batch.directory, manifest, batch.out)
    if batch.one_file:
        shutil.rmtree(batch.directory)
    return BatchResult(manifest, kept)


def _wanted(batch: Batch, now: datetime) -> BatchManifest:
    return BatchManifest(
        run=uuid.uuid4().hex,
        release=batch.release,
        surface=batch.recipe.surface,
        recipe=hashlib.sha256(batch.recipe.model_dump_json().encode()).hexdigest(),
        k=batch.k,
        rules_version=batch.rules_version,
        as_of=now,
        users_source=users_source(batch.users),
        limit=batch.limit,
        users=0,
        part_users=batch.part_users,
    )


def _standing(batch: Batch, now: datetime) -> BatchManifest | None:
    """The batch to go on with; None where one is to begin.

    Raises:
        DataError: there is one already, or one of other lists, or something else.
    """
    directory = batch.directory
    standing = read_manifest(directory)
    if standing is None:
        foreign = sorted(path.name for path in directory.iterdir() if path.name not in _OWN)
        if foreign:
            raise DataError(f"{directory} has {foreign[0]}, which is of no batch; give a new or an empty --out")
        return None
    if not batch.resume:
        state = "a finished batch" if standing.finished is not None else "a batch that is not finished"
        raise DataError(f"{directory} has {state}; go on with it by --resume, or give another --out")
    standing.check_same(_wanted(batch, now), directory)
    return standing


def _joined_before(batch: Batch, now: datetime) -> BatchResult:
    """The batch of a file that is whole; a run that was killed right after may have left the parts."""
    if not batch.resume:
        raise DataError(f"{batch.out} is there already; move it away, or give another --out")
    standing = joined_manifest(batch.out)
    standing.check_same(_wanted(batch, now), batch.out)
    if batch.directory.exists():
        shutil.rmtree(batch.directory)
    return BatchResult(standing, standing.users)


def _begin(batch: Batch, lake: Lake, now: datetime) -> BatchManifest:
    """Write down whose lists there are to be, then what they are."""
    users = write_users(lake, batch.users, batch.limit, batch.directory / _USERS)
    manifest = msgspec.structs.replace(_wanted(batch, now), users=users)
    write_manifest(batch.directory, manifest)
    return manifest


def _make(
    directory: Path, manifest: BatchManifest, make: MakeList, progress: Callable[[int, int], None]
) -> tuple[dict[str, int], int]:
    tiers: dict[str, int] = {}
    kept = done = 0
    for number, users in enumerate(_slices(directory / _USERS, manifest)):
        found = read_tiers(directory, number, manifest.run)
        if found is None:
            told = partial(_told, progress, done, manifest.users)
            found = write_part(directory, number, manifest, list(_lists_of(users, manifest, make, told)))
        else:
            kept += len(users)
        done += len(users)
        for tier, count in found.items():
            tiers[tier] = tiers.get(tier, 0) + count
        progress(done, manifest.users)
    return tiers, kept


def _slices(path: Path, manifest: BatchManifest) -> Iterator[list[str]]:
    if not manifest.users:
        yield []  # a part without a row says what the columns are
    yield from user_slices(path, manifest.part_users)


def _lists_of(
    users: list[str], manifest: BatchManifest, make: MakeList, made: Callable[[int], None]
) -> Iterator[tuple[str, RecommendationResponse]]:
    for place, user in enumerate(users):
        response = make(RecommendationRequest(surface=manifest.surface, user=user, k=manifest.k))
        if response.tier not in _WHOLE:
            raise ServingError(
                f"the list of user {user!r} would be of the tier {response.tier} ({response.tier_reason}); mend that,"
                " and go on with --resume"
            )
        yield user, response
        if place % _EVERY == 0:
            made(place)


def _told(progress: Callable[[int, int], None], before: int, users: int, made: int) -> None:
    progress(before + made, users)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the directory; the kernel lets it go with the process."""
    with (directory / _LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another process makes the batch in {directory}; wait for it, or stop it") from None
        yield
