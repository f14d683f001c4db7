"""The guard ends a stack's processes when its supervisor was killed and could not do it.

``PR_SET_PDEATHSIG`` would reach direct children only, and die with the thread that started them; a Bento server's
workers and a flow's run are grandchildren. The supervisor holds a pipe to the guard instead: when it closes without
a farewell, everything that carries the stack's marker is ended.
"""

import os
import subprocess
import sys
from contextlib import suppress

from tastemaker.stack import processes

__all__ = ["Guard", "main"]

_FAREWELL = b"stopped\n"
_GRACE_S = 8.0


class Guard:
    """The supervisor's end.

    Args:
        token: marks the stack's processes.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._process = self._start()

    def watch(self) -> None:
        """Start the guard again if it was killed."""
        if self._process.poll() is not None:
            self._close_pipe()
            self._process = self._start()

    def dismiss(self) -> None:
        """Let it go without doing anything: the supervisor has stopped everything itself."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(_FAREWELL)
            self._process.stdin.flush()
        self._close_pipe()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "tastemaker.stack.guard", self._token],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != processes.MARKER},
            start_new_session=True,  # Ctrl-C is for the supervisor
        )

    def _close_pipe(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()


def main() -> None:
    """Wait for the supervisor's end; end what it left behind."""
    if sys.stdin.buffer.read() != _FAREWELL:
        processes.end(processes.marked(sys.argv[1]), _GRACE_S)


if __name__ == "__main__":
    main()
