"""What a training run keeps, so that the next one from the same inputs goes on where it ended.

A run that was killed is finished by the next one; one that ended is judged anew without being trained anew, by another
policy or on newer data. The newest few are kept.
"""

import json
import os
import shutil
import uuid
from pathlib import Path

from tastemaker.durable import replace_file
from tastemaker.promotion.hashing import hash_tree
from tastemaker.settings import Settings

__all__ = ["KeptRun"]

_KEPT = 3


class KeptRun:
    """The directory of one training run.

    Args:
        settings: whose home.
        key: the run's content key; runs of the same key make the same release.
    """

    def __init__(self, settings: Settings, key: str) -> None:
        self._key = key
        self._work = settings.home / "training" / key
        self._work.mkdir(parents=True, exist_ok=True)
        token = self._work / "token"
        if not token.exists():
            replace_file(token, uuid.uuid4().hex.encode())
        self._token = token.read_text()
        os.utime(self._work)  # used last

    @property
    def release_dir(self) -> Path:
        """What training writes; checkpoints of its towers are beside it."""
        return self._work / "release"

    def reports_dir(self, window: str) -> Path:
        """Reports about it, by the key of the data that it was looked at on."""
        return self._work / f"reports-{window}"

    def step(self, name: str, further: str = "") -> str:
        """The cache key of a step.

        It holds as long as this directory: a result whose files were removed is not found again.

        Args:
            name: of the step.
            further: what it depends on beside the run's own inputs.
        """
        return "-".join(filter(None, (name, self._key, self._token[:8], further)))

    def is_trained(self) -> bool:
        """Whether a release is there, whole and unchanged; what is there of one that is not is removed."""
        try:
            files = json.loads((self._work / "trained.json").read_text())
        except (FileNotFoundError, ValueError):
            files = None
        if files and files == hash_tree(self.release_dir):
            return True
        # Of a run that was killed half-way; its towers go on from their checkpoints.
        shutil.rmtree(self.release_dir, ignore_errors=True)
        return False

    def note_trained(self) -> None:
        """Say that the release is whole."""
        replace_file(self._work / "trained.json", json.dumps(hash_tree(self.release_dir)).encode())

    def prune_others(self) -> None:
        """Remove all but this run and the newest of the others; what counts of them is in the registry."""
        others = [path for path in self._work.parent.iterdir() if path.is_dir() and path != self._work]
        for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT - 1 :]:
            shutil.rmtree(path, ignore_errors=True)
