"""Circuit breakers: a dependency that fails or dawdles is left alone for a while, instead of being waited for."""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

__all__ = ["CircuitBreaker"]

_HOPELESS: Final = 4  # times as long as is slow: nobody else need find that out


class CircuitBreaker:
    """Counts failures of one dependency; safe from several threads.

    After ``failures`` in a row it opens: nobody calls the dependency. After ``retry_s`` one caller may try again, and
    what comes of that closes it or keeps it open (Nygard, *Release It!*).

    Args:
        name: of the dependency, for reasons and metrics.
        failures: in a row that open it.
        retry_s: from opening to the next try; None waits for :meth:`try_again` or :meth:`close`.
        clock: seconds that only grow.
    """

    def __init__(
        self, name: str, *, failures: int = 3, retry_s: float | None = 5.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self.name = name
        self._failures, self._retry_s, self._clock = failures, retry_s, clock
        self._lock = threading.Lock()
        self._failed = 0
        self._opened: float | None = None
        self.why = ""

    def allows(self) -> bool:
        """Whether to call the dependency now; while it is open, true once per ``retry_s``."""
        if self._opened is None:
            return True
        if self._retry_s is None:
            return False
        with self._lock:
            now = self._clock()
            if self._opened is None:  # it was closed meanwhile
                return True
            if now - self._opened < self._retry_s:
                return False
            self._opened = now  # the others wait for what comes of this try
            return True

    def succeeded(self) -> None:
        """A call went well and in time."""
        if self._failed or self._opened is not None:
            self.close()

    def failed(self, why: str, *, at_once: bool = False) -> None:
        """A call failed, or took too long.

        Args:
            why: in words, for the reason of a lower tier.
            at_once: open it now, however often it failed before: the dependency said that it is away.
        """
        with self._lock:
            self._failed += 1
            self.why = why
            if self._opened is not None or at_once or self._failed >= self._failures:
                self._opened = self._clock()

    def took(self, ms: float, slow_ms: float | None) -> None:
        """A call went well and took so long.

        Args:
            ms: milliseconds.
            slow_ms: from when that counts as a failure; None for never.
        """
        if slow_ms is None or ms <= slow_ms:
            self.succeeded()
        else:
            why = f"the {self.name} took {ms:.0f} ms, more than {slow_ms:.0f}"
            self.failed(why, at_once=ms > _HOPELESS * slow_ms)

    def try_again(self) -> None:
        """The dependency answers somebody else: whoever comes may call it, until one call fails or takes too long.

        A server that is slow and not away answers a look in the background well enough. Were it as good as closed by
        that, so many callers as open it would wait for it after each look.
        """
        with self._lock:
            if self._opened is not None:
                self._failed, self._opened = self._failures - 1, None

    def close(self) -> None:
        """Call the dependency again."""
        with self._lock:
            self._failed, self._opened, self.why = 0, None, ""
