"""One suite for every broker: the in-memory twin, and Apache Kafka as the stack runs it."""

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tastemaker import names
from tastemaker.broker.background import BackgroundProducer
from tastemaker.broker.memory import MemoryBroker
from tastemaker.broker.protocol import (
    BrokerError,
    BrokerUnavailable,
    BufferFull,
    Consumer,
    Positions,
    Producer,
    Record,
    RecordTooLarge,
    UnknownTopic,
)
from tastemaker.settings import Settings
from tastemaker.stack.supervisor import Supervisor


@dataclass
class Broker:
    """What a test needs of a broker; the topic is its own."""

    create_topic: Callable[[str, int], None]
    new_producer: Callable[[], Producer]
    new_consumer: Callable[[], Consumer]
    topic: str
    new_member: Callable[[], Consumer]


@dataclass
class Node:
    settings: Settings
    supervisor: Supervisor

    def pid(self) -> int:
        (status,) = self.supervisor.statuses()
        assert status.pid is not None
        return status.pid


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A running Kafka node with data of its own; the stand-in where Java or the jars are missing."""
    from tastemaker.stack.components import announcements, local_components

    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = {"kafka_port": one.getsockname()[1], "kafka_controller_port": two.getsockname()[1]}
    home = tmp_path_factory.mktemp("kafka")
    settings = Settings(home=home, repository=Path(__file__).parents[2], **ports)
    for line in announcements(settings):
        print(line)
    with Supervisor(local_components(settings, ["kafka"]), settings, quiet=True) as supervisor:
        supervisor.wait_ready(["kafka"], 120)
        yield Node(settings, supervisor)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.e2e)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    topic = f"test-{uuid.uuid4().hex}"
    opened: list[Producer | Consumer] = []

    def keep(made):
        opened.append(made)
        return made

    if request.param == "memory":
        memory = MemoryBroker()
        made = Broker(
            memory.create_topic,
            lambda: keep(memory.producer()),
            lambda: keep(memory.consumer()),
            topic,
            lambda: keep(memory.consumer("group")),
        )
    else:
        from kafka import KafkaAdminClient

        from tastemaker.broker.connection import client_config
        from tastemaker.broker.kafka import KafkaConsumer, KafkaProducer

        settings = request.getfixturevalue("node").settings

        def create_topic(name: str, partitions: int) -> None:
            with KafkaAdminClient(**client_config(settings)) as admin:
                admin.create_topics({name: {"num_partitions": partitions}}, wait_for_metadata=True)

        made = Broker(
            create_topic,
            lambda: keep(KafkaProducer(settings, max_block_s=1.0)),
            lambda: keep(KafkaConsumer(settings)),
            topic,
            lambda: keep(KafkaConsumer(settings, group=f"group-{topic}", session_s=6.0)),
        )
    yield made
    for connection in opened:
        connection.close()


def read(consumer: Consumer, count: int, max_records: int = 1_000) -> list[Record]:
    """Poll until ``count`` records came."""
    records: list[Record] = []
    for _ in range(100):
        if len(records) >= count:
            break
        records += consumer.poll(200, max_records)
    return records


def test_acknowledged_record_is_read_back_as_it_was_sent(broker):
    broker.create_topic(broker.topic, 3)
    where = broker.new_producer().send(broker.topic, b"user-1", b"{}", (("reason", b"none"),)).result(20)
    consumer = broker.new_consumer()
    consumer.assign({broker.topic: dict.fromkeys(consumer.partitions(broker.topic), 0)})
    (record,) = read(consumer, 1)
    assert (record.topic, record.partition, record.offset) == where == (broker.topic, where.partition, 0)
    assert (record.key, record.value, record.headers) == (b"user-1", b"{}", (("reason", b"none"),))
    assert record.timestamp_ms > 0


def test_equal_keys_share_a_partition_and_keep_their_order(broker):
    broker.create_topic(broker.topic, 4)
    producer = broker.new_producer()
    sent = [producer.send(broker.topic, b"user-%d" % (i % 10), b"%d" % i) for i in range(500)]
    producer.flush(20)
    assert all(delivery.done() for delivery in sent)
    consumer = broker.new_consumer()
    consumer.assign({broker.topic: dict.fromkeys(range(4), 0)})
    by_key: dict[bytes, list[Record]] = {}
    for record in read(consumer, 500):
        by_key.setdefault(record.key, []).append(record)
    assert len(by_key) == 10
    for user, records in enumerate(by_key[b"user-%d" % user] for user in range(10)):
        assert len({record.partition for record in records}) == 1
        assert [int(record.value) for record in records] == list(range(user, 500, 10))


def test_reading_starts_at_the_given_positions_and_leaves_other_partitions_alone(broker):
    broker.create_topic(broker.topic, 2)
    producer = broker.new_producer()
    deliveries = [producer.send(broker.topic, b"key-%d" % i, b"%d" % i) for i in range(200)]
    placed = [delivery.result(20) for delivery in deliveries]
    ends = broker.new_consumer().end_offsets([broker.topic])[broker.topic]
    assert ends == {p: sum(where.partition == p for where in placed) for p in (0, 1)}
    assert min(ends.values()) > 10
    consumer = broker.new_consumer()
    consumer.assign({broker.topic: {1: ends[1] - 3}})
    assert [(r.partition, r.offset) for r in read(consumer, 3)] == [
        (1, ends[1] - 3),
        (1, ends[1] - 2),
        (1, ends[1] - 1),
    ]
    assert consumer.poll(50, 10) == []
    consumer.assign({broker.topic: {0: ends[0] - 1}})
    assert [(r.partition, r.offset) for r in read(consumer, 1)] == [(0, ends[0] - 1)]


def test_poll_returns_at_most_the_wanted_number_and_goes_on_from_there(broker):
    broker.create_topic(broker.topic, 1)
    producer = broker.new_producer()
    for i in range(25):
        producer.send(broker.topic, None, b"%d" % i)
    producer.flush(20)
    consumer = broker.new_consumer()
    consumer.assign({broker.topic: {0: 0}})
    seen: list[int] = []
    while len(seen) < 25:
        records = consumer.poll(2_000, 10)
        assert 0 < len(records) <= 10
        seen += [int(record.value) for record in records]
    assert seen == list(range(25))


def test_poll_wakes_for_a_record_that_comes_while_it_waits(broker):
    broker.create_topic(broker.topic, 1)
    producer, consumer = broker.new_producer(), broker.new_consumer()
    consumer.assign({broker.topic: {0: 0}})
    assert consumer.poll(20, 10) == []
    timer = threading.Timer(0.1, lambda: producer.send(broker.topic, None, b"late"))
    timer.start()
    assert [record.value for record in consumer.poll(20_000, 10)] == [b"late"]
    timer.join()


def test_tombstone_is_a_record_without_a_value(broker):
    broker.create_topic(broker.topic, 1)
    broker.new_producer().send(broker.topic, b"item-1", None).result(20)
    consumer = broker.new_consumer()
    consumer.assign({broker.topic: {0: 0}})
    assert [(record.key, record.value) for record in read(consumer, 1)] == [(b"item-1", None)]


def test_record_without_key_and_value_is_refused(broker):
    broker.create_topic(broker.topic, 1)
    with pytest.raises(ValueError, match="key or a value"):
        broker.new_producer().send(broker.topic, None, None)


def test_record_that_is_too_large_is_refused_and_the_next_one_taken(broker):
    broker.create_topic(broker.topic, 1)
    producer = broker.new_producer()
    with pytest.raises(RecordTooLarge):
        producer.send(broker.topic, None, b"x" * 1_100_000)
    assert producer.send(broker.topic, None, b"x").result(20).offset == 0


def test_unknown_topic_is_named(broker):
    with pytest.raises(UnknownTopic, match=broker.topic):
        broker.new_producer().send(broker.topic, None, b"x")
    consumer = broker.new_consumer()
    with pytest.raises(UnknownTopic, match=broker.topic):
        consumer.partitions(broker.topic)
    with pytest.raises(UnknownTopic, match=broker.topic):
        consumer.assign({broker.topic: {0: 0}})


def test_unknown_partition_is_named(broker):
    broker.create_topic(broker.topic, 2)
    with pytest.raises(UnknownTopic, match="partition 2"):
        broker.new_consumer().assign({broker.topic: {2: 0}})


def test_offsets_of_an_empty_topic_are_zero(broker):
    broker.create_topic(broker.topic, 2)
    consumer = broker.new_consumer()
    assert consumer.beginning_offsets([broker.topic]) == {broker.topic: {0: 0, 1: 0}}
    assert consumer.end_offsets([broker.topic]) == {broker.topic: {0: 0, 1: 0}}


def test_position_beyond_the_end_is_refused(broker):
    broker.create_topic(broker.topic, 1)
    broker.new_producer().send(broker.topic, None, b"x").result(20)
    consumer = broker.new_consumer()
    with pytest.raises(BrokerError, match="position 2 lies beyond the end"):
        consumer.assign({broker.topic: {0: 2}})
    consumer.assign({broker.topic: {0: 1}})  # the end itself is where the next record will be
    assert consumer.poll(20, 10) == []


def test_threads_share_a_producer_and_no_record_is_lost(broker):
    broker.create_topic(broker.topic, 1)
    producer = broker.new_producer()
    deliveries: list[list] = [[] for _ in range(4)]
    threads = [
        threading.Thread(
            target=lambda n=n: deliveries[n].extend(producer.send(broker.topic, None, b"x") for _ in range(250))
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    offsets = sorted(delivery.result(20).offset for mine in deliveries for delivery in mine)
    assert offsets == list(range(1_000))


def test_background_producer_hands_everything_over(broker):
    broker.create_topic(broker.topic, 1)
    background = BackgroundProducer(broker.new_producer)
    deliveries = [background.send(broker.topic, None, b"%d" % i) for i in range(100)]
    background.flush(20)
    assert [delivery.result(0).offset for delivery in deliveries] == list(range(100))
    background.close()


class Share:
    """A listener that reads from where its shop left off, and notes what it is told."""

    def __init__(self, shop: dict[int, int], topic: str) -> None:
        self._shop = shop
        self._topic = topic
        self.partitions: list[int] | None = None
        self.revocations: list[bool] = []

    def assigned(self, partitions: Mapping[str, Sequence[int]]) -> Positions:
        self.partitions = sorted(partitions.get(self._topic, ()))
        return {self._topic: {p: self._shop.get(p, 0) for p in self.partitions}}

    def revoked(self, lost: bool) -> None:
        self.partitions = None
        self.revocations.append(lost)


class Member:
    """A consumer that polls in a thread of its own, as each process would."""

    def __init__(self, consumer: Consumer, shop: dict[int, int], topic: str) -> None:
        self.consumer = consumer
        self.share = Share(shop, topic)
        self.read: list[Record] = []
        self._shop = shop
        self._stop = threading.Event()
        consumer.subscribe([topic], self.share)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            for record in self.consumer.poll(50, 100):
                self._shop[record.partition] = record.offset + 1
                self.read.append(record)

    def leave(self) -> None:
        self._stop.set()
        self._thread.join()
        self.consumer.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_members_of_a_group_share_the_partitions_and_each_record_is_read_once(broker):
    broker.create_topic(broker.topic, 4)
    producer = broker.new_producer()
    shop: dict[int, int] = {}

    def send(numbers: range) -> None:
        for delivery in [producer.send(broker.topic, b"key-%d" % i, b"%d" % i) for i in numbers]:
            delivery.result(20)

    one = Member(broker.new_member(), shop, broker.topic)
    send(range(100))
    until(lambda: len(one.read) == 100)
    assert one.share.partitions == [0, 1, 2, 3]
    two = Member(broker.new_member(), shop, broker.topic)
    until(lambda: len(one.share.partitions or ()) == len(two.share.partitions or ()) == 2)
    assert sorted((one.share.partitions or []) + (two.share.partitions or [])) == [0, 1, 2, 3]
    assert one.share.revocations == [False]
    send(range(100, 200))
    until(lambda: len(one.read) + len(two.read) == 200)
    assert min(len(one.read) - 100, len(two.read)) > 0
    one.leave()
    until(lambda: two.share.partitions == [0, 1, 2, 3])
    send(range(200, 300))
    until(lambda: len(one.read) + len(two.read) == 300)
    assert sorted(int(record.value or b"") for record in one.read + two.read) == list(range(300))
    two.leave()


def test_consumer_without_a_group_has_every_partition_from_the_positions_of_its_listener(broker):
    broker.create_topic(broker.topic, 2)
    producer = broker.new_producer()
    for i in range(20):
        producer.send(broker.topic, b"key-%d" % i, b"%d" % i).result(20)
    consumer, ends = broker.new_consumer(), broker.new_consumer().end_offsets([broker.topic])[broker.topic]
    consumer.subscribe([broker.topic], Share({0: ends[0] - 1, 1: ends[1]}, broker.topic))
    assert [(r.partition, r.offset) for r in read(consumer, 1)] == [(0, ends[0] - 1)]


def test_poll_for_no_record_returns_none_and_loses_none(broker):
    broker.create_topic(broker.topic, 1)
    producer, consumer = broker.new_producer(), broker.new_member()
    consumer.subscribe([broker.topic], Share({}, broker.topic))
    for i in range(5):
        producer.send(broker.topic, None, b"%d" % i).result(20)
    for _ in range(5):
        assert consumer.poll(20, 0) == []
    assert [int(r.value) for r in read(consumer, 5, max_records=2)] == list(range(5))


def test_what_a_listener_raises_comes_out_of_poll(broker):
    broker.create_topic(broker.topic, 1)

    class Refuses(Share):
        def assigned(self, partitions: Mapping[str, Sequence[int]]) -> Positions:
            raise LookupError("no positions")

    consumer = broker.new_member()
    consumer.subscribe([broker.topic], Refuses({}, broker.topic))
    with pytest.raises(LookupError, match="no positions"):
        read(consumer, 1)


def test_position_of_a_listener_beyond_the_end_is_refused(broker):
    broker.create_topic(broker.topic, 1)
    consumer = broker.new_member()
    consumer.subscribe([broker.topic], Share({0: 7}, broker.topic))
    with pytest.raises(BrokerError, match="position 7 lies beyond the end"):
        read(consumer, 1)


@pytest.mark.e2e
def test_member_that_comes_back_under_its_name_gets_its_partitions_and_disturbs_nobody(node, broker_topic):
    from tastemaker.broker.kafka import KafkaConsumer

    def member(name: str) -> Member:
        consumer = KafkaConsumer(node.settings, group=f"group-{broker_topic}", member=name)
        return Member(consumer, {}, broker_topic)

    one, two = member("one"), member("two")
    until(lambda: one.share.partitions is not None and two.share.partitions is not None)
    until(lambda: len(one.share.partitions or ()) + len(two.share.partitions or ()) == 1)
    had, disturbed = two.share.partitions, len(one.share.revocations)
    two.leave()  # to the group, a member with a name that goes is one that is away
    two = member("two")
    until(lambda: two.share.partitions is not None)
    assert two.share.partitions == had
    assert len(one.share.revocations) == disturbed
    one.leave()
    two.leave()


@pytest.mark.e2e
def test_topics_are_created_once_and_as_declared(node):
    from kafka import KafkaAdminClient
    from kafka.admin import ConfigResource, ConfigResourceType

    from tastemaker.broker.connection import client_config
    from tastemaker.broker.kafka import KafkaConsumer
    from tastemaker.broker.topics import TOPICS, ensure_topics

    assert set(ensure_topics(node.settings)) == set(TOPICS)
    assert ensure_topics(node.settings) == ()
    consumer = KafkaConsumer(node.settings)
    assert {name: len(consumer.partitions(name)) for name in TOPICS} == {
        names.TOPIC_EVENTS: 4,
        names.TOPIC_ITEMS: 1,
        names.TOPIC_DEAD_LETTERS: 1,
        names.TOPIC_SERVED_LISTS: 2,
    }
    consumer.close()
    with KafkaAdminClient(**client_config(node.settings)) as admin:
        described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, names.TOPIC_ITEMS)])
    assert described["topic"][names.TOPIC_ITEMS]["cleanup.policy"]["value"] == "compact"


@pytest.mark.e2e
def test_acknowledged_records_survive_a_kill_and_nothing_is_stored_twice(node, broker_topic):
    from tastemaker.broker.kafka import KafkaConsumer, KafkaProducer

    producer, consumer = KafkaProducer(node.settings), KafkaConsumer(node.settings)
    consumer.assign({broker_topic: {0: 0}})
    before = [producer.send(broker_topic, None, b"%d" % i) for i in range(2_000)]
    before[-1].result(20)
    in_flight = [producer.send(broker_topic, None, b"%d" % i) for i in range(2_000, 4_000)]
    killed = node.pid()
    os.kill(killed, signal.SIGKILL)
    meanwhile = [producer.send(broker_topic, None, b"%d" % i) for i in range(4_000, 4_100)]
    producer.flush(60)
    node.supervisor.wait_ready(["kafka"], 60)
    assert node.pid() != killed
    for delivery in [*before, *in_flight, *meanwhile]:
        delivery.result(0)
    # In order and without a gap or a second copy, read by a consumer that was connected all the time.
    assert [int(record.value) for record in read(consumer, 4_100)] == list(range(4_100))
    assert consumer.end_offsets([broker_topic]) == {broker_topic: {0: 4_100}}
    producer.close()
    consumer.close()


@pytest.mark.e2e
def test_full_buffer_is_an_error_while_the_broker_hangs_and_all_arrives_when_it_goes_on(node, broker_topic):
    from tastemaker.broker.kafka import KafkaProducer

    producer = KafkaProducer(node.settings, buffer_bytes=10_000, max_block_s=0.2)
    producer.send(broker_topic, None, b"x").result(20)
    os.kill(node.pid(), signal.SIGSTOP)
    try:
        taken = [producer.send(broker_topic, None, b"x" * 1_000) for _ in range(10)]  # 10 × 1,000 bytes: just full
        with pytest.raises(BufferFull, match="10000 bytes wait"):
            producer.send(broker_topic, None, b"x")
    finally:
        os.kill(node.pid(), signal.SIGCONT)
    assert [delivery.result(20).offset for delivery in taken] == list(range(1, 11))
    producer.close()


@pytest.mark.e2e
def test_closed_producer_fails_what_the_broker_never_took(node, broker_topic):
    from tastemaker.broker.kafka import KafkaProducer

    producer = KafkaProducer(node.settings)
    producer.send(broker_topic, None, b"x").result(20)
    os.kill(node.pid(), signal.SIGSTOP)
    try:
        stuck = producer.send(broker_topic, None, b"y")
        with pytest.raises(BrokerUnavailable, match="unacknowledged"):
            producer.flush(0.2)
        producer.close(0.2)
        assert isinstance(stuck.exception(20), BrokerError)
    finally:
        os.kill(node.pid(), signal.SIGCONT)


def test_no_broker_is_an_error_with_the_remedy():
    from tastemaker.broker.connection import topic_exists

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(BrokerUnavailable, match=rf"127.0.0.1:{port}.*tastemaker up"):
        topic_exists(Settings(kafka_port=port), "any")


@pytest.fixture
def broker_topic(node: Node) -> str:
    """A topic of one partition on the node."""
    from kafka import KafkaAdminClient

    from tastemaker.broker.connection import client_config

    topic = f"test-{uuid.uuid4().hex}"
    with KafkaAdminClient(**client_config(node.settings)) as admin:
        admin.create_topics({topic: {"num_partitions": 1}}, wait_for_metadata=True)
    return topic
