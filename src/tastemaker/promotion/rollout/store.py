"""Rollouts on disk: one file each, replaced as a whole, and one driver at a time."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tastemaker.durable import read_record, replace_file, sync_directory
from tastemaker.errors import DataError, RolloutError
from tastemaker.promotion.rollout.state import Rollout

__all__ = ["RolloutStore"]

_ABORT: Final = "abort"
_LOCK: Final = ".driver"
_POLL_S: Final = 0.05


class RolloutStore:
    """The rollouts of one platform home.

    Args:
        directory: theirs; made when something is written.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, rollout: Rollout) -> None:
        """Replace a rollout's file: a reader sees it before or after, also after a crash. Call it while driving."""
        content = msgspec.json.format(msgspec.json.encode(rollout, order="deterministic"), indent=2)
        replace_file(self._path(rollout.id), content)

    def get(self, rollout_id: str) -> Rollout:
        """One rollout.

        Raises:
            DataError: there is none, or its file is damaged.
        """
        remedy = "look at it, and remove it: the champion then gets all shoppers back when the lease ends"
        found = read_record(self._path(rollout_id), Rollout, remedy)
        if found is None:
            raise DataError(f"there is no rollout {rollout_id!r}; tastemaker rollout status --all lists them")
        return found

    def ids(self) -> list[str]:
        """Ids of all, the newest first."""
        return sorted((path.stem for path in self._directory.glob("*.json")), reverse=True)

    def newest(self) -> Rollout | None:
        """The one that runs, or ran last; None before the first one."""
        ids = self.ids()
        return self.get(ids[0]) if ids else None

    def ask_to_abort(self, reason: str) -> None:
        """Tell whoever drives, now or after a crash, to go back."""
        self._directory.mkdir(parents=True, exist_ok=True)
        replace_file(self._directory / _ABORT, reason.encode())

    def asked_to_abort(self) -> str | None:
        """The reason, if somebody asked."""
        try:
            return (self._directory / _ABORT).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def forget_abort(self) -> None:
        """The rollout that was to be aborted is over."""
        (self._directory / _ABORT).unlink(missing_ok=True)
        sync_directory(self._directory)

    @contextmanager
    def driving(self, patience_s: float = 0.0) -> Iterator[None]:
        """Be the only one who drives; the kernel ends it when the process dies.

        Args:
            patience_s: how long to wait for another one.

        Raises:
            RolloutError: another process drives.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + patience_s
        with (self._directory / _LOCK).open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() >= until:
                        raise RolloutError(
                            "another process is at work on the rollout; wait for its step, or end it: tastemaker"
                            " rollout abort"
                        ) from error
                    time.sleep(_POLL_S)
            yield

    def _path(self, rollout_id: str) -> Path:
        return self._directory / f"{Path(rollout_id).name}.json"
