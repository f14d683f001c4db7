"""Logging of the stream's processes."""

import logging
import time
from collections.abc import Callable

__all__ = ["Throttle", "set_up_logging"]


class Throttle(logging.Filter):
    """Lets one record through per pause: a client that looks for its broker says the same many times a second.

    Args:
        pause_s: length of the pause in seconds.
        now_s: a monotonic clock.
    """

    def __init__(self, pause_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._pause_s = pause_s
        self._now_s = now_s
        self._next = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is let through."""
        now = self._now_s()
        if now < self._next:
            return False
        self._next = now + self._pause_s
        return True


def set_up_logging() -> None:
    """Log to standard error: our own messages from INFO on, the Kafka client's errors now and then."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    client = logging.StreamHandler()
    client.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    client.addFilter(Throttle(10.0))
    kafka = logging.getLogger("kafka")
    kafka.setLevel(logging.ERROR)
    kafka.addHandler(client)
    kafka.propagate = False
