"""When to stop: because the process is told to, or because this worker's own work has ended."""

import threading
import time
from typing import Protocol

__all__ = ["StopSignal", "Stopping"]

_LOOK_S = 0.1


class StopSignal(Protocol):
    """What :class:`threading.Event` offers to those who only look at it."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...

    def wait(self, timeout: float) -> bool:
        """Wait for it; whether to stop."""
        ...


class Stopping:
    """Set by its owner, or by the process that the owner belongs to and may outlive.

    Args:
        process: the process's own signal.
    """

    def __init__(self, process: StopSignal | None = None) -> None:
        self._process = process or threading.Event()
        self._own = threading.Event()

    def set(self) -> None:
        """End the owner's work, and nobody else's."""
        self._own.set()

    def is_set(self) -> bool:
        """Whether to stop."""
        return self._own.is_set() or self._process.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait for it; whether to stop."""
        until = time.monotonic() + timeout
        while not self.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._process.wait(min(left, _LOOK_S))
        return True
