"""The dead-letter topic as a box: each letter once, and what became of it."""

from typing import Any

import msgspec
import pytest
from stream_cases import THEN, AwayProducer, broker, event, item

from tastemaker import names
from tastemaker.broker.memory import MemoryBroker, MemoryConsumer
from tastemaker.broker.protocol import BrokerError, BrokerUnavailable, Record, UnknownTopic
from tastemaker.clock import to_us
from tastemaker.errors import ContractError, DataError
from tastemaker.events.contract import decode_event, encode_event
from tastemaker.events.dead_letter import MAX_RAW_BYTES, DeadLetter, dead_letter_key, encode_dead_letter
from tastemaker.events.item import encode_item
from tastemaker.stream.dead_letter_box import DeadLetterBox, Note, full_id
from tastemaker.stream.dead_letter_replay import Outcome, check_replay, replay_letters

NOW_US = to_us(THEN) + 3_600_000_000
NO_USER = msgspec.json.encode({"event_id": "e1", "type": "view", "item_id": "mug", "occurred_at": THEN})
GOOD = encode_event(event("e1"))


def letter(offset: int, **fields: Any) -> DeadLetter:
    defaults = {
        "topic": names.TOPIC_EVENTS,
        "partition": 2,
        "failed_at_us": offset * 1_000_000,
        "reason": "at least one of user_id and session_id is required",
        "field": "user_id",
        "key": b"u1",
        "raw": NO_USER,
    }
    return DeadLetter(offset=offset, **(defaults | fields))


def bury(memory: MemoryBroker, *letters: DeadLetter) -> None:
    for made in letters:
        memory.producer().send(names.TOPIC_DEAD_LETTERS, dead_letter_key(made), encode_dead_letter(made))


def box(memory: MemoryBroker) -> DeadLetterBox:
    return DeadLetterBox(memory.consumer())


def replay(memory: MemoryBroker, *ids: str, fix: bytes | None = None) -> list[Outcome]:
    return list(replay_letters(memory.producer(), box(memory).letters(ids), lambda: NOW_US, fix))


def stored(memory: MemoryBroker, topic: str) -> list[Record]:
    return [record for log in memory.logs(topic) for record in log]


@pytest.fixture
def memory() -> MemoryBroker:
    return broker()


def test_an_empty_topic_is_an_empty_box(memory):
    assert box(memory).entries() == []
    assert list(box(memory).letters([])) == []


def test_letters_come_newest_first_each_once_without_their_bytes(memory):
    bury(memory, letter(1), letter(2), letter(1))
    entries = box(memory).entries()
    assert [entry.id for entry in entries] == ["tastemaker.events:2:2", "tastemaker.events:2:1"]
    assert all(entry.letter.raw is None and entry.size == len(NO_USER) for entry in entries)
    assert all(entry.replayed is None for entry in entries)


def test_a_box_can_be_read_again_and_then_has_what_came_since(memory):
    opened = box(memory)
    bury(memory, letter(1))
    assert len(opened.entries()) == 1
    bury(memory, letter(2))
    assert len(opened.entries()) == 2


def test_letters_have_their_bytes_and_each_comes_once(memory):
    bury(memory, letter(1), letter(1), letter(2, raw=b"\xff"), letter(3))
    found = list(box(memory).letters(["tastemaker.events:2:1", "tastemaker.events:2:2"]))
    assert [(letter_id, made.raw) for letter_id, made in found] == [
        ("tastemaker.events:2:1", NO_USER),
        ("tastemaker.events:2:2", b"\xff"),
    ]


def test_an_unknown_id_is_named_with_where_to_look(memory):
    bury(memory, letter(1))
    with pytest.raises(DataError, match=r"tastemaker\.events:2:9.*dead-letters list"):
        list(box(memory).letters(["tastemaker.events:2:9"]))


def test_a_record_that_is_no_letter_is_left_out(memory):
    memory.producer().send(names.TOPIC_DEAD_LETTERS, b"x", b"{}")
    memory.producer().send(names.TOPIC_DEAD_LETTERS, b"y", None)
    memory.producer().send(names.TOPIC_DEAD_LETTERS, None, b"\xff")
    bury(memory, letter(1))
    assert [entry.id for entry in box(memory).entries()] == ["tastemaker.events:2:1"]


def test_offsets_without_records_at_the_end_do_not_keep_the_reader_waiting(memory):
    class Compacted(MemoryConsumer):
        def end_offsets(self, topics: Any) -> dict[str, dict[int, int]]:
            return {
                topic: {p: end + 2 for p, end in ends.items()} for topic, ends in super().end_offsets(topics).items()
            }

        def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
            return super().poll(1, max_records)

    bury(memory, letter(1))
    assert len(DeadLetterBox(Compacted(memory)).entries()) == 1


def test_a_broker_that_goes_away_while_reading_is_an_error_and_no_shorter_list(memory):
    class Leaving(MemoryConsumer):
        asked = 0

        def end_offsets(self, topics: Any) -> dict[str, dict[int, int]]:
            self.asked += 1
            if self.asked > 1:
                raise BrokerUnavailable("connection lost")
            return super().end_offsets(topics)

        def poll(self, timeout_ms: int, max_records: int) -> list[Record]:
            return []

    bury(memory, letter(1))
    with pytest.raises(BrokerUnavailable):
        DeadLetterBox(Leaving(memory)).entries()


def test_a_missing_topic_is_named():
    with pytest.raises(UnknownTopic, match="dead-letters"):
        box(MemoryBroker({})).entries()


@pytest.mark.parametrize("text", ["events:2:17", "tastemaker.events:2:17"])
def test_an_id_may_be_written_without_the_prefix(text):
    assert full_id(text) == "tastemaker.events:2:17"


def test_replay_refuses_what_would_fail_again_and_sends_nothing(memory):
    bury(memory, letter(1))
    (outcome,) = replay(memory, "tastemaker.events:2:1")
    assert (outcome.sent_to, outcome.field) == ("", "user_id")
    assert "user_id and session_id" in outcome.problem
    assert stored(memory, names.TOPIC_EVENTS) == []
    assert box(memory).entries()[0].replayed is None


def test_replay_of_what_can_be_used_now_keeps_its_key_and_is_remembered(memory):
    bury(memory, letter(1, raw=GOOD, key=b"another key", reason="occurred_at is in the future"), letter(2))
    (outcome,) = replay(memory, "tastemaker.events:2:1")
    (record,) = stored(memory, names.TOPIC_EVENTS)
    assert (record.key, record.value) == (b"another key", GOOD)
    assert outcome == Outcome("tastemaker.events:2:1", f"tastemaker.events:{record.partition}:{record.offset}")
    replayed = {entry.id: entry.replayed for entry in box(memory).entries()}
    assert replayed == {"tastemaker.events:2:1": Note(NOW_US, outcome.sent_to), "tastemaker.events:2:2": None}
    # The note is no letter: the letter itself still has its bytes.
    ((_, found),) = box(memory).letters(["tastemaker.events:2:1"])
    assert found.raw == GOOD


def test_replay_with_a_fix_sends_it_under_the_key_of_its_shopper(memory):
    bury(memory, letter(1, key=None))
    (outcome,) = replay(memory, "tastemaker.events:2:1", fix=encode_event(event("e1", user_id="u7")))
    assert outcome.problem == ""
    (record,) = stored(memory, names.TOPIC_EVENTS)
    assert (record.key, decode_event(record.value).user_id) == (b"u7", "u7")


@pytest.mark.parametrize(
    ("fix", "field"),
    [(b"", ""), (b"{", ""), (b"[]", ""), (b"\xff", ""), (b"{}", "event_id"), (NO_USER, "user_id")],
)
def test_replay_with_a_fix_that_is_none_is_refused_with_the_reason(memory, fix, field):
    bury(memory, letter(1))
    (outcome,) = replay(memory, "tastemaker.events:2:1", fix=fix)
    assert (outcome.sent_to, outcome.field) == ("", field)
    assert outcome.problem
    assert stored(memory, names.TOPIC_EVENTS) == []


def test_a_fixed_item_goes_under_its_own_id(memory):
    wrong = letter(5, topic=names.TOPIC_ITEMS, partition=0, key=b"tea", raw=encode_item(item("mug")), field="item_id")
    bury(memory, wrong)
    (refused,) = replay(memory, "tastemaker.items:0:5")
    assert refused.field == "item_id"
    (sent,) = replay(memory, "tastemaker.items:0:5", fix=encode_item(item("mug")))
    assert sent.problem == ""
    assert [record.key for record in stored(memory, names.TOPIC_ITEMS)] == [b"mug"]


def test_a_letter_that_was_cut_off_needs_the_whole_record():
    cut = letter(1, raw=GOOD, truncated=True)
    with pytest.raises(ContractError, match=f"first {MAX_RAW_BYTES} bytes"):
        check_replay(cut, NOW_US)
    assert check_replay(cut, NOW_US, GOOD) == (b"u1", GOOD)


@pytest.mark.parametrize(("raw", "problem"), [(None, "no value"), (b"\xff\xfe", "not valid JSON")])
def test_a_letter_without_usable_bytes_is_refused(raw, problem):
    with pytest.raises(ContractError, match=problem):
        check_replay(letter(1, raw=raw), NOW_US)


def test_a_letter_of_a_topic_that_nobody_reads_is_refused():
    with pytest.raises(ContractError, match="nothing reads clicks"):
        check_replay(letter(1, topic="clicks", raw=GOOD), NOW_US)


def test_an_event_of_the_future_is_refused_until_its_time_has_come():
    early = letter(1, raw=GOOD)
    with pytest.raises(ContractError, match="future"):
        check_replay(early, to_us(THEN) - 60_000_000)
    assert check_replay(early, to_us(THEN)) == (b"u1", GOOD)


def test_many_letters_are_sent_in_order_and_the_refused_are_told_apart(memory):
    letters = [letter(n, raw=encode_event(event(f"e{n}")) if n % 5 else NO_USER) for n in range(250)]
    bury(memory, *letters)
    outcomes = replay(memory, *[dead_letter_key(made).decode() for made in letters])
    assert len(outcomes) == 250
    assert sum(bool(outcome.problem) for outcome in outcomes) == 50  # every fifth
    sent = [decode_event(record.value).event_id for record in stored(memory, names.TOPIC_EVENTS)]
    assert sent == [f"e{n}" for n in range(250) if n % 5]
    assert sum(entry.replayed is not None for entry in box(memory).entries()) == 200


def test_a_broker_that_stops_acknowledging_leaves_the_letter_not_replayed(memory):
    bury(memory, letter(1, raw=GOOD))
    producer = AwayProducer(memory, failures=1)
    letters = box(memory).letters(["tastemaker.events:2:1"])
    with pytest.raises(BrokerError):
        list(replay_letters(producer, letters, lambda: NOW_US))
    assert box(memory).entries()[0].replayed is None
    assert replay(memory, "tastemaker.events:2:1")[0].problem == ""
