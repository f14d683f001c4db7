"""Waits for what real processes do."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_for(what: str, condition: Callable[[], Found], seconds: float = 240.0, pause_s: float = 0.05) -> Found:
    """Wait until a condition holds, and return what it found; the limit only turns a hang into a failure."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        time.sleep(pause_s)
    return found
