"""One stack per home directory, held by a file lock that the kernel frees with its holder."""

import fcntl
import os
from pathlib import Path
from typing import IO

from tastemaker.errors import StackError
from tastemaker.settings import Settings

__all__ = ["StackLock"]


class StackLock:
    """The lock of a home.

    Args:
        settings: which home.
    """

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self._path: Path = settings.run_dir / "stack.lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StackError: another process has it; says which.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise StackError(
                f"a stack runs on {self._home} already (process {holder}); see it with `tastemaker status`, "
                "stop it with `tastemaker down`, or use another TASTEMAKER_HOME"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None
