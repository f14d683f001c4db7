import threading
from concurrent.futures import Future

import pytest

from tastemaker.broker.background import BackgroundProducer
from tastemaker.broker.memory import MemoryBroker
from tastemaker.broker.protocol import BrokerUnavailable, BufferFull, Delivered, UnknownTopic


class Gate:
    """Connects only when opened."""

    def __init__(self) -> None:
        self.broker = MemoryBroker({"t": 1})
        self.open = threading.Event()
        self.attempts = 0

    def __call__(self):
        self.attempts += 1
        if not self.open.is_set():
            raise BrokerUnavailable("not yet")
        return self.broker.producer()


def test_records_wait_for_a_broker_that_is_away_and_arrive_in_order():
    gate = Gate()
    producer = BackgroundProducer(gate, retry_s=0.01)
    deliveries = [producer.send("t", None, b"%d" % i) for i in range(5)]
    assert not any(delivery.done() for delivery in deliveries)
    gate.open.set()
    assert [delivery.result(10) for delivery in deliveries] == [Delivered("t", 0, i) for i in range(5)]
    assert gate.attempts >= 1
    producer.close()


def test_full_queue_drops_at_once():
    producer = BackgroundProducer(Gate(), capacity=2, retry_s=0.01)
    kept = [producer.send("t", None, b"x") for _ in range(2)]
    with pytest.raises(BufferFull, match="2 records wait"):
        producer.send("t", None, b"x")
    with pytest.raises(BrokerUnavailable, match="still queued"):
        producer.flush(0.01)
    producer.close(0.05)
    for delivery in kept:
        with pytest.raises(BrokerUnavailable, match="closed before"):
            delivery.result(1)


def test_record_that_is_refused_fails_alone():
    gate = Gate()
    gate.open.set()
    producer = BackgroundProducer(gate)
    refused, taken = producer.send("other", None, b"x"), producer.send("t", None, b"x")
    with pytest.raises(UnknownTopic):
        refused.result(10)
    assert taken.result(10) == Delivered("t", 0, 0)
    producer.close()


def test_delivery_that_its_holder_cancelled_harms_nobody():
    gate = Gate()
    producer = BackgroundProducer(gate, retry_s=0.01)
    cancelled, taken = producer.send("t", None, b"x"), producer.send("t", None, b"y")
    assert cancelled.cancel()
    gate.open.set()
    assert taken.result(10) == Delivered("t", 0, 1)
    producer.close()


def test_failure_of_the_broker_reaches_the_delivery():
    class Failing:
        def send(self, *_: object) -> Future[Delivered]:
            sent: Future[Delivered] = Future()
            sent.set_exception(BrokerUnavailable("no acknowledgement"))
            return sent

        def flush(self, timeout: float) -> None: ...

        def close(self, timeout: float = 5.0) -> None: ...

    producer = BackgroundProducer(Failing)
    with pytest.raises(BrokerUnavailable, match="no acknowledgement"):
        producer.send("t", None, b"x").result(10)
    producer.close()


def test_closed_producer_refuses():
    producer = BackgroundProducer(Gate())
    producer.close(0.01)
    with pytest.raises(BrokerUnavailable, match="closed"):
        producer.send("t", None, b"x")


def test_record_without_key_and_value_is_refused():
    producer = BackgroundProducer(Gate())
    with pytest.raises(ValueError, match="key or a value"):
        producer.send("t", None, None)
    producer.close(0.01)
