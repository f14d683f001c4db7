"""A sign between workers that each batch has to be in the lake before its state is committed.

A corrected event's rows are taken from the lake anew, and hold what other workers applied as well. While these write
to the lake behind their state, there may never be a moment at which it has everything. So whoever has a correction
to apply raises the sign, and for a while all workers go the other way round.
"""

import time
from collections.abc import Callable
from pathlib import Path

from tastemaker.lake.tables import Lake

__all__ = ["LakeFirst"]

_SECONDS = 10.0
_AGAIN_S = 2.0


class LakeFirst:
    """The sign, kept as the time of a file in the lake.

    Args:
        lake: shared by the workers.
        now_s: the machine's clock, in seconds since the epoch.
    """

    def __init__(self, lake: Lake, now_s: Callable[[], float] = time.time) -> None:
        self._path: Path = lake.root / "lake-first"
        self._now_s = now_s

    def raise_(self) -> None:
        """Raise the sign; it goes down by itself."""
        if self._age_s() > _AGAIN_S:
            self._path.touch()

    def is_raised(self) -> bool:
        """Whether somebody raised it a short while ago."""
        return self._age_s() < _SECONDS

    def _age_s(self) -> float:
        try:
            return self._now_s() - self._path.stat().st_mtime
        except FileNotFoundError:
            return float("inf")
