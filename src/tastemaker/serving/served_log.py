"""The served-list log: every answer, sampled, goes to Kafka after it was sent, and never holds up a request.

Replay, attribution, off-policy evaluation and skew measurement read it. A background thread owns the broker
connection. While the broker is away, lists wait in a queue bounded in bytes; the oldest are dropped and counted.
Delivery is at least once: a list whose acknowledgement was lost is sent again, and ``request_id`` tells the copies.
"""

import logging
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from concurrent import futures

import msgspec

from tastemaker.broker.protocol import Delivered, Producer, RecordTooLarge
from tastemaker.names import TOPIC_SERVED_LISTS
from tastemaker.serving.contract import ServedList
from tastemaker.serving.records import ListRecord

__all__ = ["ServedListLog"]

_log = logging.getLogger(__name__)

_BATCH = 500
_UNWRITTEN = 4_096  # answers; each holds arrays of some 20 kB until its text is made
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0)  # the last repeats
_LOOK_S = 0.2  # how often a wait for acknowledgements looks whether the log is being stopped

Record = tuple[bytes, bytes]


class ServedListLog:
    """A bounded queue and the thread that empties it into the broker.

    Args:
        connect: opens a producer; called in the background, and again after every failure.
        rate: share of lists that are kept, 0 to 1; which ones depends on ``request_id`` alone.
        capacity_bytes: encoded lists held while the broker is away.
        on_dropped: told how many lists were dropped, each time.
    """

    def __init__(
        self,
        connect: Callable[[], Producer],
        rate: float = 1.0,
        capacity_bytes: int = 32 << 20,
        on_dropped: Callable[[int], None] | None = None,
    ) -> None:
        self._connect = connect
        self._threshold = round(rate * 2**32)
        self._capacity = capacity_bytes
        self._on_dropped = on_dropped
        self._encoder = msgspec.json.Encoder()
        self._queue: deque[Record] = deque()
        self._unwritten: deque[ListRecord] = deque()  # answers whose text is still to be made
        self._bytes = 0
        self._in_hand = 0  # records that the thread is sending
        self._changed = threading.Condition()
        self._deadline: float | None = None  # time.monotonic() until which a stopping log may still send
        self._thread: threading.Thread | None = None
        self.sent = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Lists that are not yet with the broker."""
        with self._changed:
            return len(self._queue) + len(self._unwritten) + self._in_hand

    def start(self) -> None:
        """Start the background thread."""
        self._thread = threading.Thread(target=self._run, name="served-list-log", daemon=True)
        self._thread.start()

    def offer(self, served: ServedList) -> None:
        """Take one served list; costs its encoding and returns at once, whatever the broker does."""
        if zlib.crc32(served.request_id.encode()) >= self._threshold:
            return
        record = self._record(served)
        with self._changed:
            if self._deadline is not None:
                self._drop(1)
                return
            self._append(record)
            self._changed.notify()

    def offer_later(self, record: ListRecord) -> None:
        """Take one answer; its text is made in the log's own thread, so this costs next to nothing."""
        if zlib.crc32(record.request_id.encode()) >= self._threshold:
            return
        with self._changed:
            if self._deadline is not None:
                self._drop(1)
                return
            self._unwritten.append(record)
            if len(self._unwritten) > _UNWRITTEN:
                self._unwritten.popleft()
                self._drop(1)
            self._changed.notify()

    def _record(self, served: ServedList) -> Record:
        key = (served.request.user or served.request.session or served.request_id).encode()
        return key, self._encoder.encode(served)

    def _append(self, record: Record) -> None:
        self._queue.append(record)
        self._bytes += len(record[1])
        while self._bytes > self._capacity:
            self._bytes -= len(self._queue.popleft()[1])
            self._drop(1)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Send what waits, for at most ``timeout_s`` seconds; what is left is dropped and counted."""
        with self._changed:
            self._deadline = time.monotonic() + timeout_s
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s + 1.0)
        with self._changed:
            self._drop(len(self._queue) + len(self._unwritten) + self._in_hand)
            self._queue.clear()
            self._unwritten.clear()
            self._bytes = self._in_hand = 0

    def _drop(self, count: int) -> None:
        self.dropped += count
        if count and self._on_dropped:
            self._on_dropped(count)

    def _out_of_time(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _run(self) -> None:
        producer: Producer | None = None
        failures = 0
        while batch := self._next():
            try:
                producer = producer or self._connect()
                failed, refused, why = self._deliver(producer, batch)
            except Exception as error:  # whatever the broker's client raises must not end the log
                failed, refused, why = batch, 0, error
            self._settle(len(batch) - len(failed) - refused, refused, failed)
            if not failed:
                failures = 0
                continue
            if failures == 0:
                _log.warning("served lists wait, because the broker does not take them: %s", why)
            failures += 1
            _close(producer)
            producer = None
            self._pause(_BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1])
        _close(producer)

    def _next(self) -> list[Record]:
        """The oldest lists; waits for one. Empty when the log is stopped and empty, or out of time."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._unwritten or self._deadline is not None)
        while self._write() and not self._out_of_time():
            pass
        with self._changed:
            if self._out_of_time():
                return []
            batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
            self._bytes -= sum(len(value) for _, value in batch)
            self._in_hand = len(batch)
            return batch

    def _write(self) -> bool:
        """Make the text of one answer; whether there was one."""
        with self._changed:
            if not self._unwritten:
                return False
            waiting = self._unwritten.popleft()
        try:
            record = self._record(waiting.build())
        except Exception as error:  # one answer that cannot be written must not end the log
            _log.warning("the served list %s is not logged: %s", waiting.request_id, error)
            with self._changed:
                self._drop(1)
            return True
        with self._changed:
            self._append(record)
        return True

    def _deliver(self, producer: Producer, batch: list[Record]) -> tuple[list[Record], int, BaseException | None]:
        """Send a batch and wait for its acknowledgements.

        Returns:
            The records to send again, how many the broker refuses for good, and the last reason.
        """
        sending: list[tuple[futures.Future[Delivered], Record]] = []
        failed: list[Record] = []
        refused = 0
        why: BaseException | None = None
        for at, record in enumerate(batch):
            try:
                sending.append((producer.send(TOPIC_SERVED_LISTS, *record), record))
            except RecordTooLarge as error:  # it would be refused for ever
                refused, why = refused + 1, error
            except Exception as error:
                failed, why = batch[at:], error
                break
        pending = {future for future, _ in sending}
        while pending and not self._out_of_time():
            pending = futures.wait(pending, timeout=_LOOK_S).not_done
        undelivered: list[Record] = []
        for future, record in sending:
            error_of = future.exception() if future.done() else TimeoutError("no acknowledgement before the shutdown")
            if isinstance(error_of, RecordTooLarge):
                refused, why = refused + 1, error_of
            elif error_of is not None:
                undelivered.append(record)
                why = error_of
        if refused:
            _log.warning("%d served lists are not logged: %s", refused, why)
        return undelivered + failed, refused, why

    def _settle(self, delivered: int, refused: int, failed: list[Record]) -> None:
        """Count a batch; what failed returns to the head of the queue, the newest first while there is room."""
        with self._changed:
            self.sent += delivered
            self._in_hand = 0
            self._drop(refused)
            while failed and self._bytes + len(failed[-1][1]) <= self._capacity:
                record = failed.pop()
                self._queue.appendleft(record)
                self._bytes += len(record[1])
            self._drop(len(failed))

    def _pause(self, seconds: float) -> None:
        """Back off; the beginning of a shutdown ends the pause, and its deadline bounds it."""
        with self._changed:
            if self._deadline is None:
                self._changed.wait_for(lambda: self._deadline is not None, seconds)
            else:
                self._changed.wait(max(0.0, min(seconds, self._deadline - time.monotonic())))


def _close(producer: Producer | None) -> None:
    if producer is not None:
        try:
            producer.close(0.5)
        except Exception as error:
            _log.info("closing the connection of the served-list log: %s", error)
