"""Whether feature_repo/ still says what was applied last."""

import hashlib
from pathlib import Path

import msgspec

from tastemaker.features.plan import FeaturePlan
from tastemaker.settings import Settings

__all__ = ["edited_files", "note_applied"]


class _Applied(msgspec.Struct):
    plan: str
    files: dict[str, str]


def note_applied(settings: Settings, plan: FeaturePlan) -> None:
    """Remember the content of the files that a plan was compiled from."""
    _path(settings).write_bytes(msgspec.json.encode(_Applied(plan.hash, _hashes(settings))))


def edited_files(settings: Settings, plan: FeaturePlan) -> list[str]:
    """Files of feature_repo/ that were added, changed or removed since they were applied, by name.

    By content; where the plan was applied by `feast apply`, which notes nothing, by their time of change.
    """
    now = _hashes(settings)
    try:
        applied = msgspec.json.decode(_path(settings).read_bytes(), type=_Applied)
    except (FileNotFoundError, msgspec.MsgspecError):
        applied = None
    if applied is not None and applied.plan == plan.hash:
        return sorted(name for name in now.keys() | applied.files.keys() if now.get(name) != applied.files.get(name))
    since = settings.plan_path.stat().st_mtime
    return [name for name in sorted(now) if (_directory(settings) / name).stat().st_mtime > since]


def _hashes(settings: Settings) -> dict[str, str]:
    files = sorted([*_directory(settings).glob("*.py"), *_directory(settings).glob("*.yaml")])
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _directory(settings: Settings) -> Path:
    return settings.repository / "feature_repo"


def _path(settings: Settings) -> Path:
    return settings.feast_dir / "applied.json"
