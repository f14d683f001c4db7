"""A producer that never makes its caller wait: for logging off the request path."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from tastemaker.broker.protocol import BrokerError, BrokerUnavailable, BufferFull, Delivered, Headers, Producer

__all__ = ["BackgroundProducer"]

_CLOSED = "the producer was closed before the broker took the record"


class _Queued(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    delivery: Future[Delivered]


class BackgroundProducer:
    """See :class:`tastemaker.broker.protocol.Producer`; ``send`` returns or raises within microseconds.

    A thread connects, and connects again, and hands the records over. A process with this producer starts and
    answers while the broker is away; when the queue is full, records are dropped by ``BufferFull``, which the
    caller counts.

    Args:
        connect: makes the real producer, for example ``lambda: KafkaProducer(settings)``.
        capacity: records that may wait for the thread.
        retry_s: pause between attempts to connect.
    """

    def __init__(self, connect: Callable[[], Producer], capacity: int = 10_000, retry_s: float = 1.0) -> None:
        self._connect = connect
        self._capacity = capacity
        self._retry_s = retry_s
        self._queue: deque[_Queued] = deque()
        self._taken: deque[_Queued] = deque()  # by the thread, which has yet to hand them over
        self._changed = threading.Condition()
        self._in_hand = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)
        self._thread.start()

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Future[Delivered]:
        """Queue one record; never waits."""
        if key is None and value is None:
            raise ValueError("a record needs a key or a value")
        record = _Queued(topic, key, value, headers, Future())
        with self._changed:
            if self._closed.is_set():
                raise BrokerUnavailable("the producer is closed")
            if len(self._queue) + len(self._taken) >= self._capacity:
                raise BufferFull(f"{self._capacity} records wait for the broker already; is Kafka up?")
            self._queue.append(record)
            if len(self._queue) == 1:  # the thread takes all there are, and looks again before it waits
                self._changed.notify_all()
        return record.delivery

    def flush(self, timeout: float) -> None:
        """Wait for every acknowledgement."""
        deadline = monotonic() + timeout
        with self._changed:
            if not self._changed.wait_for(lambda: not self._queue and not self._in_hand, timeout):
                raise BrokerUnavailable(f"{len(self._queue)} records are still queued after {timeout:g} s")
            producer = self._producer
        if producer is not None:
            producer.flush(max(deadline - monotonic(), 0.0))

    def close(self, timeout: float = 5.0) -> None:
        """Flush, then stop the thread."""
        deadline = monotonic() + timeout
        with suppress(BrokerError):
            self.flush(timeout)
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
        self._thread.join(max(deadline - monotonic(), 0.5))
        while self._queue:
            _fail(self._queue.popleft(), BrokerUnavailable(_CLOSED))

    _producer: Producer | None = None

    def _run(self) -> None:
        while not self._closed.is_set() and self._producer is None:
            try:
                self._producer = self._connect()
            except BrokerError:
                self._closed.wait(self._retry_s)
        while (records := self._next()) is not None:
            while records:
                record = records.popleft()
                if self._closed.is_set():
                    _fail(record, BrokerUnavailable(_CLOSED))
                else:
                    self._hand_over(record)
            with self._changed:
                self._in_hand = False
                self._changed.notify_all()
        if self._producer is not None:
            self._producer.close(1.0)

    def _next(self) -> deque[_Queued] | None:
        """All records that wait, at the price of one; None when the producer is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed.is_set())
            if self._closed.is_set():
                return None
            self._in_hand = True
            self._taken, self._queue = self._queue, deque()
            return self._taken

    def _hand_over(self, record: _Queued) -> None:
        assert self._producer is not None
        try:
            sent = self._producer.send(record.topic, record.key, record.value, record.headers)
        except Exception as error:  # whatever is wrong with one record, the thread carries on with the next
            _fail(record, error)
        else:
            sent.add_done_callback(lambda done: _settle(record, done))


def _settle(record: _Queued, done: Future[Delivered]) -> None:
    error = done.exception()
    if error is not None:
        _fail(record, error)
    else:
        with suppress(InvalidStateError):
            record.delivery.set_result(done.result())


def _fail(record: _Queued, error: BaseException) -> None:
    with suppress(InvalidStateError):
        record.delivery.set_exception(error)
