"""The lists of a batch in the served-list log, no faster than the broker takes them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tastemaker.errors import ServingError
from tastemaker.serving.records import ListRecord
from tastemaker.serving.served_log import ServedListLog

__all__ = ["logging_to"]

_WAITING = 1_000  # of these the log holds some 20 MB; it drops none before it holds 32 MB
_PAUSE_S = 0.02


@contextmanager
def logging_to(log: ServedListLog, patience_s: float = 30.0) -> Iterator[Callable[[ListRecord], None]]:
    """Start a log, and send what is left at the end.

    Args:
        log: not started yet.
        patience_s: after so long without a list that the broker takes, the batch ends.

    Yields:
        What takes a list; it waits while the broker is behind, and raises ServingError where the broker takes none.
    """
    log.start()

    def take(record: ListRecord) -> None:
        log.offer_later(record)
        since, sent = time.monotonic(), log.sent
        while log.waiting > _WAITING:
            time.sleep(_PAUSE_S)
            if log.sent != sent:
                since, sent = time.monotonic(), log.sent
            elif time.monotonic() - since > patience_s:
                raise ServingError(
                    f"the broker has taken no served list for {patience_s:.0f} s; start it and go on with --resume, or"
                    " leave out --log"
                )

    try:
        yield take
    finally:
        log.stop(patience_s)
    if log.dropped:
        raise ServingError(f"{log.dropped} of the lists are not in the served-list log: the broker did not take them")
