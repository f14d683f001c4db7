"""Group membership of a Kafka consumer: from kafka-python's rebalance callbacks to a :class:`GroupListener`."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress

from kafka import KafkaConsumer as ClientConsumer
from kafka import TopicPartition, errors
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.future import Future

from tastemaker.broker.protocol import BrokerUnavailable, GroupListener, Positions

__all__ = ["Rebalance", "finish_joins", "is_joining"]

_LOG = logging.getLogger(__name__)
_RETRY_S = 0.5


def finish_joins(client: ClientConsumer) -> None:
    """Have every join that was begun awaited, also one that a ``poll`` had no time for.

    kafka-python 3.0.12 goes back to a join that outlasted its ``poll`` only while something else asks for one. A
    leader joins again because it learnt of partitions only after its first assignment; that very join makes the
    assignment look current, so that its answer was never taken up and the member stayed without partitions for ever.
    """
    coordinator = client._coordinator
    asked = coordinator.need_rejoin
    coordinator.need_rejoin = lambda: asked() or is_joining(client)


def is_joining(client: ClientConsumer) -> bool:
    """Whether a join was begun whose answer was not taken up yet."""
    return client._coordinator._join_task is not None


class Rebalance(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Calls the listener in a thread of its own, because the library's own thread must go on sending heartbeats.

    ``poll`` waits meanwhile, so that the listener and whoever polls never work at the same time.

    Args:
        client: the consumer.
        listener: whom to tell.
        seek: sets where the client reads on; called with what the listener wants.
    """

    def __init__(self, client: ClientConsumer, listener: GroupListener, seek: Callable[[Positions], None]) -> None:
        self._client = client
        self._listener = listener
        self._seek = seek
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def reraise(self) -> None:
        """Raise what the listener raised, where the library put an error of its own in its place."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def end(self) -> None:
        """The consumer is about to close: stop trying to reach the broker."""
        self._ended.set()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """The library's callback after the group has a new assignment."""
        by_topic: dict[str, list[int]] = defaultdict(list)
        for topic, partition in sorted(assigned):
            by_topic[topic].append(partition)
        await self._in_thread(lambda: self._take_up(by_topic))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """The library's callback before it joins the group again."""
        if revoked:
            await self._in_thread(lambda: self._listener.revoked(False))

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """The library's callback when the group has gone on without this member."""
        await self._in_thread(lambda: self._listener.revoked(True))

    def _take_up(self, by_topic: dict[str, list[int]]) -> None:
        # Without positions the client would read from the beginning; so the broker has to answer first.
        positions = self._listener.assigned(by_topic)
        while not self._ended.is_set():
            try:
                self._seek(positions)
            except BrokerUnavailable as error:
                _LOG.warning("waiting for the broker with the partitions at hand: %s", error)
                self._ended.wait(_RETRY_S)
            else:
                return

    async def _in_thread(self, work: Callable[[], None]) -> None:
        done = Future()

        async def resume() -> None:
            done.success(None)

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._error = error
            with suppress(RuntimeError, errors.KafkaError):  # the loop is closed: nobody waits any more
                self._client._net.call_soon_threadsafe(resume)  # there is no public way back into the loop

        threading.Thread(target=run, name="rebalance", daemon=True).start()
        await done
        if self._error is not None:
            raise self._error
