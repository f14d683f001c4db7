"""``tastemaker dead-letters`` with the in-memory broker behind it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from tastemaker import names
from tastemaker.broker import kafka
from tastemaker.broker.memory import MemoryBroker
from tastemaker.broker.topics import TOPICS
from tastemaker.cli.app import app
from tastemaker.cli.letter_view import pretty
from tastemaker.errors import DataError
from tastemaker.events.contract import Event, encode_event
from tastemaker.events.dead_letter import DeadLetter, dead_letter_key, encode_dead_letter

AT = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)
GOOD = encode_event(Event(event_id="e1", type="view", user_id="u1", item_id="mug", occurred_at=AT))
BAD = msgspec.json.encode(
    {"event_id": "e2", "type": "view", "user_id": "u1", "item_id": "mug", "occurred_at": AT, "context": {"device": 5}}
)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryBroker:
    made = MemoryBroker({name: topic.partitions for name, topic in TOPICS.items()})
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setattr(kafka, "KafkaConsumer", lambda settings: made.consumer())
    monkeypatch.setattr(kafka, "KafkaProducer", lambda settings: made.producer())
    return made


@pytest.fixture
def letters(memory: MemoryBroker) -> MemoryBroker:
    for offset, raw, field, reason in (
        (7, GOOD, "occurred_at", "is in the future"),
        (8, BAD, "context.device", "Expected `str | null`, got `int`"),
        (9, b"{\xff[bold]", "", "not valid JSON"),
    ):
        letter = DeadLetter(
            topic=names.TOPIC_EVENTS, partition=1, offset=offset, failed_at_us=offset, reason=reason, field=field,
            key=b"u1", raw=raw,
        )  # fmt: skip
        memory.producer().send(names.TOPIC_DEAD_LETTERS, dead_letter_key(letter), encode_dead_letter(letter))
    return memory


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["dead-letters", *words])


def events(memory: MemoryBroker) -> list[bytes | None]:
    return [record.value for log in memory.logs(names.TOPIC_EVENTS) for record in log]


@pytest.mark.usefixtures("memory")
def test_list_of_an_empty_topic_says_so():
    assert run("list").output.strip() == "0 dead letters, 0 of them not replayed"


@pytest.mark.usefixtures("letters")
def test_list_shows_each_with_its_reason_newest_first():
    shown = run("list").output
    assert "3 dead letters, 3 of them not replayed" in shown
    assert shown.index("tastemaker.events:1:9") < shown.index("tastemaker.events:1:8") < shown.index("events:1:7")
    assert "Expected `str | null`, got `int`" in shown


@pytest.mark.usefixtures("letters")
def test_list_narrows_by_reason_and_limit_and_says_what_is_left_out():
    assert "1 dead letters" in run("list", "--reason", "FUTURE").output
    limited = run("list", "--limit", "1").output
    assert "3 dead letters" in limited
    assert "2 more" in limited


@pytest.mark.usefixtures("letters")
def test_list_as_json_has_every_part_of_the_place():
    rows = json.loads(run("list", "--json", "--reason", "device").output)
    assert [(row["topic"], row["partition"], row["offset"], row["field"], row["replayed_at"]) for row in rows] == [
        ("tastemaker.events", 1, 8, "context.device", None)
    ]


@pytest.mark.usefixtures("letters")
def test_show_marks_the_field_that_failed():
    lines = run("show", "events:1:8").output.splitlines()
    (marked,) = [line for line in lines if "◀" in line]
    assert marked.strip().startswith('"device": 5')
    assert "Expected `str | null`" in marked


@pytest.mark.usefixtures("letters")
def test_show_of_bytes_that_are_no_json_shows_them_as_they_are():
    assert r"{\xff[bold]" in run("show", "events:1:9").output


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("words", [("show", "events:1:10"), ("replay", "events:1:10"), ("show", "nonsense")])
def test_an_unknown_id_says_where_to_look(words):
    with pytest.raises(DataError, match="dead-letters list"):
        raise run(*words).exception


def test_replay_sends_what_is_usable_refuses_the_rest_and_remembers(letters):
    done = run("replay", "--all")
    assert done.exit_code == 1
    assert "1 sent, 2 refused" in done.output
    assert "context.device" in done.output
    assert events(letters) == [GOOD]
    assert "2 of them not replayed" in run("list").output
    again = run("replay", "events:1:7")
    assert isinstance(again.exception, DataError)
    assert "--again" in str(again.exception)
    assert run("replay", "events:1:7", "--again").exit_code == 0
    assert events(letters) == [GOOD, GOOD]


def test_replay_all_of_a_reason_leaves_the_others(letters):
    assert run("replay", "--all", "--reason", "future").exit_code == 0
    assert events(letters) == [GOOD]


def test_replay_with_a_fix_sends_the_file(letters, tmp_path):
    fixed = BAD.replace(b'{"device":5}', b'{"device":"phone"}')
    (tmp_path / "fixed.json").write_bytes(fixed)
    assert run("replay", "events:1:8", "--fix", str(tmp_path / "fixed.json")).exit_code == 0
    assert events(letters) == [fixed]


def test_replay_with_a_malformed_fix_is_refused_and_sends_nothing(letters, tmp_path):
    (tmp_path / "fixed.json").write_text("{")
    done = run("replay", "events:1:8", "--fix", str(tmp_path / "fixed.json"))
    assert done.exit_code == 1
    assert "not valid JSON" in done.output
    assert events(letters) == []


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("words", [(), ("events:1:7", "--all")])
def test_replay_of_nothing_or_of_both_is_refused(words):
    with pytest.raises(DataError, match="--all"):
        raise run("replay", *words).exception


@pytest.mark.usefixtures("letters")
def test_one_fix_for_several_letters_is_refused(tmp_path):
    (tmp_path / "fixed.json").write_bytes(GOOD)
    with pytest.raises(DataError, match="exactly one"):
        raise run("replay", "events:1:7", "events:1:8", "--fix", str(tmp_path / "fixed.json")).exception


@pytest.mark.parametrize(
    ("field", "marked"),
    [
        ("a", ['  "a": {']),
        ("a.b", ['    "b": 1']),
        ("c", ['  "c": [']),
        ("b", []),  # there is only a.b
        ("", []),
        ("absent.field", []),
    ],
)
def test_pretty_marks_the_line_of_a_path(field, marked):
    raw = b'{"a":{"b":1},"c":[{"d":1}],"e\\"":2}'
    assert [line.rstrip(",") for line, is_marked in pretty(raw, field) if is_marked] == marked
