"""Runs stages and notes how long each takes."""

from collections.abc import Callable
from time import perf_counter_ns
from typing import TypeVar

__all__ = ["StageClock"]

Given = TypeVar("Given")
Made = TypeVar("Made")


class StageClock:
    """The time of one list.

    Args:
        total_ms: until when it is wanted; None for whenever it is ready, as offline.
        now_ns: a clock that only grows, in nanoseconds.
    """

    __slots__ = ("_began", "_now_ns", "_until", "spent_ns")

    def __init__(self, total_ms: float | None, now_ns: Callable[[], int] = perf_counter_ns) -> None:
        self._now_ns = now_ns
        self._began = now_ns()
        self._until = None if total_ms is None else self._began + int(total_ms * 1e6)
        self.spent_ns: dict[str, int] = {}

    def run(self, name: str, stage: Callable[[Given], Made], given: Given) -> Made:
        """Run a stage; one that runs twice counts with the sum."""
        began = self._now_ns()
        try:
            return stage(given)
        finally:
            self.spent_ns[name] = self.spent_ns.get(name, 0) + self._now_ns() - began

    def short_of(self, ms: float) -> bool:
        """Whether less than so many milliseconds are left."""
        return self._until is not None and self._until - self._now_ns() < ms * 1e6

    @property
    def total_us(self) -> int:
        """Microseconds since it began."""
        return (self._now_ns() - self._began) // 1_000

    @property
    def stages_us(self) -> dict[str, int]:
        """Microseconds by stage."""
        return {name: spent // 1_000 for name, spent in self.spent_ns.items()}
