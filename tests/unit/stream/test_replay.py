"""Sending a table through the broker."""

from datetime import timedelta

import lake_tables
import pyarrow as pa
import pytest
from stream_cases import THEN, AwayProducer, broker, event, item

from tastemaker import names
from tastemaker.broker.protocol import BrokerError
from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.events.contract import Event, decode_event
from tastemaker.events.item import decode_item
from tastemaker.stream.replay import Replayed, replay

EVENTS = [
    event(
        f"e{n}",
        user_id=f"u{n % 3}",
        occurred_at=THEN + timedelta(seconds=10 * n),
        category="kitchen",
        price=n / 2,
        corrects=f"older{n}" if n % 2 else None,
        extra={"n": n},
    )
    for n in range(9)
]
MUG = item("mug", category=("kitchen",), attributes={"colour": "red"})


def events_table() -> pa.Table:
    return lake_tables.events_table(EVENTS, ingested_us)


def ingested_us(made: Event) -> int:
    return to_us(made.occurred_at) + 1_500_000


def items_table() -> pa.Table:
    return lake_tables.items_table([MUG, "tea"], updated_us=0)


def test_everything_arrives_as_it_is_in_the_table_in_each_user_s_order():
    memory = broker()
    progress: list[tuple[int, int]] = []
    done = replay(memory.producer(), events_table(), items_table(), progress=lambda *so_far: progress.append(so_far))
    assert done == Replayed(items=1, events=9)
    assert progress == [(9, 9)]
    logs = memory.logs(names.TOPIC_EVENTS)
    arrived = [decode_event(record.value or b"") for log in logs for record in log]
    assert sorted(arrived, key=lambda e: e.event_id) == EVENTS
    for user in ("u0", "u1", "u2"):
        own = [made.event_id for made in arrived if made.user_id == user]
        assert own == sorted(own)
    (log,) = memory.logs(names.TOPIC_ITEMS)
    assert [(record.key, decode_item(record.value or b"")) for record in log] == [(b"mug", MUG)]


def test_ingestion_times_of_the_table_travel_in_a_header():
    memory = broker()
    replay(memory.producer(), events_table())
    records = [record for log in memory.logs(names.TOPIC_EVENTS) for record in log]
    assert {decode_event(record.value).event_id: record.headers for record in records} == {
        made.event_id: (("ingested-at-us", str(ingested_us(made)).encode()),) for made in EVENTS
    }


def test_row_without_an_ingestion_time_goes_without_the_header():
    memory = broker()
    table = events_table()
    index = table.schema.get_field_index(names.INGESTED_AT)
    unknown = table.set_column(index, table.schema.field(index), pa.nulls(len(table), table.schema.types[index]))
    replay(memory.producer(), unknown.slice(0, 1))
    assert [record.headers for log in memory.logs(names.TOPIC_EVENTS) for record in log] == [()]


def test_speed_keeps_the_pauses_between_events_divided_by_it():
    memory = broker()
    now, slept = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    replay(memory.producer(), events_table(), speed=20.0, sleep=sleep, now_s=lambda: now)
    assert slept == pytest.approx([0.5] * 8)  # 10 s between nine events, at 20 times the speed
    assert sum(len(log) for log in memory.logs(names.TOPIC_EVENTS)) == 9


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_speed_that_is_no_speed_is_refused(speed):
    with pytest.raises(DataError, match="positive"):
        replay(broker().producer(), events_table(), speed=speed)


def test_broker_that_goes_away_stops_the_replay_with_the_remedy():
    memory = broker()
    with pytest.raises(BrokerError, match="Run it again"):
        replay(AwayProducer(memory, failures=1), events_table())
    assert replay(memory.producer(), events_table()).events == 9
