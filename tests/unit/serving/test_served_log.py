"""The served-list log: delivery, sampling, a broker that is away, bounds, shutdown."""

import threading
from concurrent.futures import Future
from datetime import UTC, datetime

import msgspec
import pytest
from api_twin import wait_until

from tastemaker.broker.memory import MemoryBroker
from tastemaker.broker.protocol import BrokerUnavailable, Delivered, RecordTooLarge
from tastemaker.names import TOPIC_SERVED_LISTS
from tastemaker.serving import served_log
from tastemaker.serving.contract import RecommendationRequest, ServedList
from tastemaker.serving.served_log import ServedListLog


@pytest.fixture
def broker():
    return MemoryBroker({TOPIC_SERVED_LISTS: 1})


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(served_log, "_BACKOFF_S", (0.005,))
    monkeypatch.setattr(served_log, "_LOOK_S", 0.01)


def served(number: int, **request) -> ServedList:
    return ServedList(
        request_id=f"request-{number}",
        served_at=datetime(2011, 12, 9, tzinfo=UTC),
        request=RecommendationRequest(**request),
        release="r",
        tier="full",
    )


def logged(broker) -> list[str]:
    (records,) = broker.logs(TOPIC_SERVED_LISTS)
    return [msgspec.json.decode(record.value, type=ServedList).request_id for record in records]


class Flaky:
    """A broker that can be away: connecting fails, or records that were sent fail, as in an outage."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.connects = False
        self.acknowledges = True
        self.attempts = 0
        self.sent = 0

    def connect(self):
        self.attempts += 1
        if not self.connects:
            raise BrokerUnavailable("no broker answers")
        return self

    def send(self, topic, key, value, headers=()):
        self.sent += 1
        if self.acknowledges:
            return self.broker.producer().send(topic, key, value, headers)
        failed: Future[Delivered] = Future()
        failed.set_exception(BrokerUnavailable("no acknowledgement"))
        return failed

    def flush(self, timeout):
        pass

    def close(self, timeout=5.0):
        pass


def test_lists_are_delivered_in_order_and_keyed_by_shopper(broker):
    log = ServedListLog(broker.producer)
    log.start()
    log.offer(served(1, user="u", session="s"))
    log.offer(served(2, session="s"))
    log.offer(served(3))
    log.stop()
    assert logged(broker) == ["request-1", "request-2", "request-3"]
    assert [record.key for record in broker.logs(TOPIC_SERVED_LISTS)[0]] == [b"u", b"s", b"request-3"]
    assert (log.sent, log.dropped, log.waiting) == (3, 0, 0)


def test_nothing_is_connected_before_the_start(broker):
    flaky = Flaky(broker)
    log = ServedListLog(flaky.connect)
    log.offer(served(1))
    assert flaky.attempts == 0


def test_lists_wait_for_a_broker_that_is_away_and_then_arrive(broker):
    flaky = Flaky(broker)
    log = ServedListLog(flaky.connect)
    log.start()
    for number in range(20):
        log.offer(served(number))
    wait_until(lambda: flaky.attempts > 3, "several attempts to connect")
    assert logged(broker) == []
    assert log.waiting == 20
    flaky.connects = True
    wait_until(lambda: log.sent == 20, "delivery after the outage")
    log.stop()
    assert logged(broker) == [f"request-{number}" for number in range(20)]
    assert log.dropped == 0


def test_unacknowledged_lists_are_sent_again_in_order(broker):
    flaky = Flaky(broker)
    flaky.connects, flaky.acknowledges = True, False
    log = ServedListLog(flaky.connect)
    log.start()
    log.offer(served(1))
    wait_until(lambda: flaky.sent > 2, "several sends")
    log.offer(served(2))
    flaky.acknowledges = True
    wait_until(lambda: log.sent == 2, "delivery")
    log.stop()
    assert logged(broker) == ["request-1", "request-2"]


def test_oldest_are_dropped_and_counted_beyond_the_capacity(broker):
    size = len(msgspec.json.encode(served(10)))
    dropped: list[int] = []
    flaky = Flaky(broker)
    log = ServedListLog(flaky.connect, capacity_bytes=3 * size, on_dropped=dropped.append)
    for number in range(10, 15):
        log.offer(served(number))
    # room for 3 of 5 lists of equal size: 10 and 11 go
    assert (log.waiting, log.dropped, sum(dropped)) == (3, 2, 2)
    flaky.connects = True
    log.start()
    log.stop()
    assert logged(broker) == ["request-12", "request-13", "request-14"]


def test_stop_gives_up_on_a_broker_that_stays_away_and_counts_the_rest(broker):
    dropped: list[int] = []
    log = ServedListLog(Flaky(broker).connect, on_dropped=dropped.append)
    log.start()
    log.offer(served(1))
    log.offer(served(2))
    log.stop(timeout_s=0.1)
    assert (log.sent, log.dropped, sum(dropped), log.waiting) == (0, 2, 2, 0)
    log.offer(served(3))  # a request that was still being answered
    assert log.dropped == 3


def test_stop_does_not_wait_for_an_acknowledgement_that_never_comes(broker):
    class Silent(Flaky):
        def send(self, topic, key, value, headers=()):
            return Future()

    silent = Silent(broker)
    silent.connects = True
    log = ServedListLog(silent.connect)
    log.start()
    log.offer(served(1))
    log.stop(timeout_s=0.1)
    assert (log.sent, log.dropped) == (0, 1)


def test_offer_never_waits_while_the_client_blocks(broker):
    blocked = threading.Event()
    release = threading.Event()

    class Blocking(Flaky):
        def send(self, topic, key, value, headers=()):
            blocked.set()
            assert release.wait(20)
            return super().send(topic, key, value, headers)

    blocking = Blocking(broker)
    blocking.connects = True
    log = ServedListLog(blocking.connect)
    log.start()
    log.offer(served(1))
    assert blocked.wait(20)
    for number in range(2, 100):
        log.offer(served(number))  # returns although the thread is stuck in the client
    assert log.waiting == 99
    release.set()
    log.stop()
    assert len(logged(broker)) == 99


def test_list_that_the_broker_refuses_for_good_does_not_hold_up_the_others(broker):
    class Strict(Flaky):
        def send(self, topic, key, value, headers=()):
            if b"request-2" in value:
                raise RecordTooLarge("too large")
            return super().send(topic, key, value, headers)

    strict = Strict(broker)
    strict.connects = True
    log = ServedListLog(strict.connect)
    for number in (1, 2, 3):
        log.offer(served(number))
    log.start()
    log.stop()
    assert logged(broker) == ["request-1", "request-3"]
    assert (log.sent, log.dropped) == (2, 1)


def test_rate_keeps_a_share_chosen_by_request_id(broker):
    log = ServedListLog(broker.producer, rate=0.25)
    for number in range(4000):
        log.offer(served(number))
    # 4000 draws at 0.25: mean 1000, standard deviation sqrt(4000 * .25 * .75) = 27.4; five of them are 137
    assert abs(log.waiting - 1000) < 137
    again = ServedListLog(broker.producer, rate=0.25)
    for number in range(4000):
        again.offer(served(number))
    assert [value for _, value in again._queue] == [value for _, value in log._queue]


@pytest.mark.parametrize(("rate", "kept"), [(0.0, 0), (1.0, 200)])
def test_rates_at_the_ends_keep_nothing_or_everything(broker, rate, kept):
    log = ServedListLog(broker.producer, rate=rate)
    for number in range(200):
        log.offer(served(number))
    assert log.waiting == kept
