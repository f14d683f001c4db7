"""The lists of one call, and when it was."""

import time
from collections.abc import Mapping

from tastemaker.serving.any_recommender import Answer

__all__ = ["Answers"]


class Answers(list[Answer]):
    """One for each request of the call, in their order.

    Attributes:
        began_ns: when it came, in nanoseconds since the epoch.
        seconds: how long it took, waiting included; 0 until :meth:`done`.
        headers: of the call, by lower-case name; None where there are none.
    """

    __slots__ = ("_began", "began_ns", "headers", "seconds")

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.headers = headers
        self.began_ns, self._began = time.time_ns(), time.perf_counter()
        self.seconds = 0.0

    def done(self) -> None:
        """Stop the clock."""
        self.seconds = time.perf_counter() - self._began
