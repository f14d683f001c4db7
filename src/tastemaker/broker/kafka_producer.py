"""Sending to Kafka through kafka-python, idempotently and with a bound on what is on its way."""

import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from kafka import KafkaProducer as ClientProducer
from kafka import errors

from tastemaker.broker.connection import client_config, topic_exists, translated, unreachable
from tastemaker.broker.protocol import (
    BrokerError,
    BrokerUnavailable,
    BufferFull,
    Delivered,
    Headers,
    UnknownTopic,
)
from tastemaker.settings import Settings

__all__ = ["KafkaProducer"]


class KafkaProducer:
    """See :class:`tastemaker.broker.protocol.Producer`.

    ``acks=all`` with idempotence: an acknowledged record is stored, and a retry never stores it twice.

    Args:
        settings: gives the address.
        linger_ms: how long a record may wait for company in its batch.
        buffer_bytes: keys and values that may be on their way at once; ``send`` waits beyond it.
        max_block_s: how long ``send`` waits for room or for the broker.
        delivery_timeout_s: when an unacknowledged record fails; at least 6.

    Raises:
        BrokerUnavailable: no broker answers at the address within 10 s.
    """

    def __init__(
        self,
        settings: Settings,
        linger_ms: int = 1,
        buffer_bytes: int = 32 * 1024 * 1024,
        max_block_s: float = 10.0,
        delivery_timeout_s: float = 30.0,
    ) -> None:
        self._settings = settings
        self._max_block_s = max_block_s
        self._room = _Room(buffer_bytes)
        self._pending: set[Future[Delivered]] = set()
        try:
            self._client = ClientProducer(
                **client_config(settings),
                acks="all",
                enable_idempotence=True,
                linger_ms=linger_ms,
                batch_size=64 * 1024,
                max_block_ms=int(max_block_s * 1000),
                delivery_timeout_ms=int(delivery_timeout_s * 1000),
                request_timeout_ms=5_000,
                allow_auto_create_topics=False,
            )
        except (errors.KafkaError, OSError) as error:
            raise unreachable(settings, error) from error

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> Future[Delivered]:
        """Queue one record."""
        if key is None and value is None:
            raise ValueError("a record needs a key or a value")
        size = len(key or b"") + len(value or b"")
        self._room.take(size, self._max_block_s)
        delivery: Future[Delivered] = Future()

        def settle(metadata: Any, error: BaseException | None = None) -> None:
            self._room.give(size)
            self._pending.discard(delivery)
            with suppress(InvalidStateError):  # cancelled by its holder
                if error is None:
                    delivery.set_result(Delivered(metadata.topic, metadata.partition, metadata.offset))
                else:
                    delivery.set_exception(translated(error, f"sending to {topic}"))

        self._pending.add(delivery)
        try:
            sent = self._client.send(topic, value=value, key=key, headers=list(headers))
        except BaseException as error:
            self._room.take_back(size)
            self._pending.discard(delivery)
            if isinstance(error, errors.KafkaTimeoutError):
                raise self._no_metadata(topic, error) from error
            if isinstance(error, errors.KafkaError):
                raise translated(error, f"sending to {topic}") from error
            raise
        sent.add_callback(settle)
        sent.add_errback(lambda error: settle(None, error))
        return delivery

    def flush(self, timeout: float) -> None:
        """Wait for every acknowledgement."""
        try:
            self._client.flush(timeout)
        except errors.KafkaError as error:
            raise BrokerUnavailable(f"records are still unacknowledged after {timeout:g} s; is Kafka up?") from error

    def close(self, timeout: float = 5.0) -> None:
        """Flush and disconnect."""
        with suppress(errors.KafkaError):
            self._client.flush(timeout)
        with suppress(errors.KafkaError):
            self._client.close(0.5)
        # The library leaves the futures of what it could not send unresolved for ever.
        for delivery in list(self._pending):
            with suppress(InvalidStateError):
                delivery.set_exception(BrokerUnavailable("the producer was closed before the broker had the record"))

    def _no_metadata(self, topic: str, error: BaseException) -> BrokerError:
        # The library says "timeout" both for a topic that does not exist and for a broker that is away.
        try:
            if not topic_exists(self._settings, topic):
                return UnknownTopic(f"the broker at {self._settings.broker} has no topic {topic!r}")
        except BrokerUnavailable as unavailable:
            return unavailable
        return BrokerUnavailable(f"sending to {topic}: the broker did not answer in time ({error})")


class _Room:
    """Bytes on their way to the broker: kafka-python 3 has no bound of its own.

    Callers take, the client's single sender thread gives back. The two sides share no lock: with one, each
    record would make the threads wait for each other, at a third of the throughput.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._callers = threading.Lock()
        self._taken = 0  # written under the callers' lock
        self._given = 0  # written by the sender thread alone

    def take(self, size: int, timeout: float) -> None:
        deadline = 0.0
        while True:
            with self._callers:
                pending = self._taken - self._given
                if not pending or pending + size <= self._limit:
                    self._taken += size
                    return
            now = monotonic()
            deadline = deadline or now + timeout
            if now >= deadline:
                raise BufferFull(
                    f"{pending} bytes wait for the broker's acknowledgement, at most {self._limit} may; is Kafka up?"
                )
            sleep(0.002)

    def take_back(self, size: int) -> None:
        with self._callers:
            self._taken -= size

    def give(self, size: int) -> None:
        self._given += size
