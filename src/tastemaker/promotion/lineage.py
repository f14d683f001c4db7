"""Lineage: from which data, code and parameters a release came."""

import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tastemaker.document import Document
from tastemaker.errors import DataError
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.promotion.hashing import hash_bytes, hash_files, hash_tree

__all__ = ["UNKNOWN", "Lineage", "code_hash", "collect_lineage", "git_commit"]

UNKNOWN = "unknown"


class Lineage(Document, frozen=True, kw_only=True):
    """Where a release came from.

    Attributes:
        data_from: time of the first event that it learned from (UTC).
        data_to: first moment that it did not learn from.
        lake_versions: Delta version by table; time travel to it gives the same rows.
        code_commit: git commit, or ``unknown``.
        code_note: why the commit is unknown, or that files differed from it; else empty.
        code_hash: hash of the Python files of the package and of the feature declarations, known without git.
        plan_hash: of the feature plan.
        parameters: of the training.
        seed: of the training.
        run: the flow run that made it, if one did.
        created_at: when it was collected (UTC).
    """

    KIND = "a lineage"
    REMEDY = "train another release"

    data_from: datetime
    data_to: datetime
    lake_versions: dict[str, int]
    code_commit: str
    code_hash: str
    plan_hash: str
    parameters: dict[str, Any]
    seed: int
    created_at: datetime
    code_note: str = ""
    run: str = ""


def collect_lineage(
    *,
    lake: Lake,
    repository: Path,
    data_from: datetime,
    data_to: datetime,
    plan_hash: str,
    parameters: Mapping[str, Any],
    seed: int,
    now: datetime,
    run: str = "",
) -> Lineage:
    """Collect the lineage of a release that was just trained.

    Args:
        lake: what it was trained on, as it is now.
        repository: root of the checkout that trains.
        data_from: see :class:`Lineage`, as all others.
        data_to: see :class:`Lineage`.
        plan_hash: see :class:`Lineage`.
        parameters: see :class:`Lineage`; must convert to JSON.
        seed: see :class:`Lineage`.
        now: see ``created_at``.
        run: see :class:`Lineage`.

    Raises:
        DataError: a parameter does not convert to JSON.
    """
    try:
        plain = msgspec.json.decode(msgspec.json.encode(dict(parameters)))
    except (TypeError, msgspec.MsgspecError) as error:
        raise DataError(f"training parameters must convert to JSON: {error}") from error
    commit, note = git_commit(repository)
    return Lineage(
        data_from=data_from,
        data_to=data_to,
        lake_versions={
            table: lake.open(table).version() for table in SCHEMAS if (lake.path(table) / "_delta_log").is_dir()
        },
        code_commit=commit,
        code_note=note,
        code_hash=code_hash(repository),
        plan_hash=plan_hash,
        parameters=plain,
        seed=seed,
        created_at=now,
        run=run,
    )


def git_commit(repository: Path) -> tuple[str, str]:
    """The checked-out commit, and a note.

    Returns:
        ``(commit, "")``; with changed files ``(commit, "n files differ from it")``; where git cannot tell,
        ``("unknown", reason)``: an image or a source archive has no repository, and that is no error.
    """
    try:
        commit = _git(repository, "rev-parse", "HEAD")
        changed = _git(repository, "status", "--porcelain", "--untracked-files=no").splitlines()
    except FileNotFoundError:
        return UNKNOWN, "git is not installed"
    except subprocess.CalledProcessError as error:
        return UNKNOWN, f"git: {error.stderr.strip().splitlines()[0] if error.stderr.strip() else error}"
    except subprocess.TimeoutExpired:
        return UNKNOWN, "git did not answer within 10 seconds"
    return commit, f"{len(changed)} files differ from it" if changed else ""


def code_hash(repository: Path) -> str:
    """Hash of the package's and the feature declarations' Python files, by their content."""
    package = Path(__file__).parents[1]
    files = {f"tastemaker/{name}": value for name, value in hash_tree(package).items() if name.endswith(".py")}
    declarations = hash_tree(repository / "feature_repo") if (repository / "feature_repo").is_dir() else {}
    files |= {f"feature_repo/{name}": value for name, value in declarations.items() if name.endswith(".py")}
    return hash_files(files) if files else hash_bytes(b"")


def _git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
