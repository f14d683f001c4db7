"""Dead letters on a real broker: listed, fixed and sent back by the command, and remembered across processes."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastemaker import names
from tastemaker.broker.kafka import KafkaConsumer, KafkaProducer
from tastemaker.broker.topics import ensure_topics
from tastemaker.events.dead_letter import DeadLetter, dead_letter_key, encode_dead_letter
from tastemaker.settings import Settings
from tastemaker.stack.supervisor import Supervisor

pytestmark = pytest.mark.e2e

BROKEN = b'{"event_id": "e1", "type": "view", "item_id": "mug", "occurred_at": "2024-05-17T12:30:00Z"}'
FIXED = BROKEN.replace(b'"item_id"', b'"user_id": "u1", "item_id"')


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    from tastemaker.stack.components import local_components

    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = {"kafka_port": one.getsockname()[1], "kafka_controller_port": two.getsockname()[1]}
    made = Settings(home=tmp_path_factory.mktemp("kafka"), repository=Path(__file__).parents[2], **ports)
    with Supervisor(local_components(made, ["kafka"]), made, quiet=True) as supervisor:
        supervisor.wait_ready(["kafka"], 120)
        ensure_topics(made)
        yield made


def run(settings: Settings, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tastemaker.cli", "dead-letters", *words],
        env=settings.to_env(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_letter_is_listed_fixed_sent_back_once_and_remembered(settings: Settings, tmp_path: Path) -> None:
    assert json.loads(run(settings, "list", "--json").stdout) == []
    letter = DeadLetter(
        topic=names.TOPIC_EVENTS, partition=0, offset=3, failed_at_us=1, reason="no user", field="user_id", raw=BROKEN
    )
    producer = KafkaProducer(settings)
    for _ in range(2):  # as a worker does that is killed after it buried
        producer.send(names.TOPIC_DEAD_LETTERS, dead_letter_key(letter), encode_dead_letter(letter))
    producer.close(10)

    (row,) = json.loads(run(settings, "list", "--json").stdout)
    assert (row["id"], row["replayed_at"]) == ("tastemaker.events:0:3", None)
    assert '"item_id": "mug"' in run(settings, "show", "events:0:3").stdout
    refused = run(settings, "replay", "events:0:3")
    assert refused.returncode == 1
    assert "user_id and session_id" in " ".join(refused.stderr.split())

    (tmp_path / "fixed.json").write_bytes(FIXED)
    sent = run(settings, "replay", "events:0:3", "--fix", str(tmp_path / "fixed.json"))
    assert sent.returncode == 0, sent.stderr
    (row,) = json.loads(run(settings, "list", "--json").stdout)
    topic, partition, offset = row["replayed_to"].rsplit(":", 2)
    consumer = KafkaConsumer(settings)
    try:
        consumer.assign({topic: {int(partition): int(offset)}})
        (record,) = consumer.poll(10_000, 10)
    finally:
        consumer.close()
    assert (record.key, record.value) == (b"u1", FIXED)
    again = run(settings, "replay", "--all")
    assert (again.returncode, "0 sent" in again.stdout) == (0, True)
