"""The audit trail, its folding, and those who follow it, with what may happen to a file."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from candidates_twin import rule
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.serving.rerank.rule_log import RuleLog, rules_path
from tastemaker.serving.rerank.rule_set import RuleSet
from tastemaker.serving.rerank.rule_watch import RuleWatch

AT = datetime(2026, 1, 1, tzinfo=UTC)
BY = {"who": "anna", "at": AT, "why": "winter campaign"}
UP, DOWN, PIN = (
    rule("up", "boost", strength=2.0),
    rule("down", "bury", strength=2.0),
    rule("p", "pin", items=[1], position=1),
)


@pytest.fixture
def log(tmp_path):
    return RuleLog(rules_path(tmp_path))


def test_a_log_that_is_not_there_has_no_rules(log):
    folded = log.read()
    assert (len(folded.rules), folded.changes, folded.torn) == (0, (), 0)
    assert not log.path.exists()


def test_changes_are_folded_and_each_says_who_when_what_and_why(log):
    log.add([UP, DOWN], **BY)
    log.switch(["up"], enabled=False, who="ben", at=AT + timedelta(hours=1), why="sold out")
    log.add([rule("down", "bury", strength=9.0)], **BY, replace=True)
    folded = log.read()
    assert [(one.id, one.enabled, one.strength) for one in folded.rules.rules] == [("up", False, 2), ("down", True, 9)]
    assert [(one.number, one.who, one.what, one.why) for one in folded.changes] == [
        (1, "anna", "add", "winter campaign"),
        (2, "ben", "disable", "sold out"),
        (3, "anna", "replace", "winter campaign"),
    ]
    assert folded.changes[1].at == AT + timedelta(hours=1)
    assert folded.changes[-1].version == folded.rules.version
    assert len(log.path.read_bytes().splitlines()) == 3


def test_any_earlier_version_can_be_had_for_replay(log):
    versions = [RuleSet().version]
    versions.append(log.add([UP], **BY).version)
    versions.append(log.add([DOWN], **BY).version)
    versions.append(log.switch(["up"], enabled=False, **BY).version)
    assert [len(log.at(version)) for version in versions] == [0, 1, 2, 2]
    assert all(log.at(version).version == version for version in versions)
    with pytest.raises(DataError, match="never had rules of version"):
        log.at("f" * 16)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log: log.add([UP], **BY), "there is a rule up already; say --replace"),
        (lambda log: log.add([PIN, PIN], **BY), "more than one rule is called p"),
        (lambda log: log.add([], **BY), "no rule was given"),
        (lambda log: log.add([PIN], who="anna", at=AT, why="  "), "who makes it and why"),
        (lambda log: log.switch(["none"], enabled=False, **BY), "no rule is called none"),
        (lambda log: log.switch(["down", "up"], enabled=True, **BY), "is enabled already"),
    ],
)
def test_a_change_that_cannot_be_made_leaves_the_log_as_it_was(log, change, said):
    log.add([UP, DOWN], **BY)
    before = log.path.read_bytes()
    with pytest.raises(DataError, match=said):
        change(log)
    assert log.path.read_bytes() == before


def test_half_a_line_does_not_count_and_is_dropped_by_the_next_change(log):
    log.add([UP], **BY)
    whole = log.path.read_bytes()
    log.add([DOWN], **BY)
    log.path.write_bytes(log.path.read_bytes()[:-20])  # the writer died in the middle
    assert [one.id for one in log.read().rules.rules] == ["up"]
    assert log.read().torn > 0
    log.add([PIN], **BY)
    assert log.path.read_bytes().startswith(whole)
    assert [one.id for one in log.read().rules.rules] == ["up", "p"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_byte_can_be_altered_unnoticed(tmp_path_factory, data):
    log = RuleLog(rules_path(tmp_path_factory.mktemp("home")))
    for one in (UP, DOWN, PIN):
        log.add([one], **BY)
    raw = log.path.read_bytes()
    place = data.draw(st.integers(0, len(raw) - 2))  # the last byte ends the line: without it the line is half
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[place]))
    changed = raw[:place] + bytes([other]) + raw[place + 1 :]
    log.path.write_bytes(changed)
    if same_json(raw, changed):  # JSON can say the same in other bytes; then nothing was altered
        assert log.read().rules.rules == (UP, DOWN, PIN)
        return
    for touch in (log.read, lambda: log.switch(["up"], enabled=False, **BY)):
        with pytest.raises(DataError, match="line"):
            touch()
    assert log.path.read_bytes() == changed  # nothing is written behind what is damaged


def same_json(one, other):
    try:
        return [json.loads(line) for line in one.split(b"\n")[:-1]] == [
            json.loads(line) for line in other.split(b"\n")[:-1]
        ]
    except ValueError:
        return False


@pytest.mark.parametrize(
    "edit", [lambda lines: lines[1:], lambda lines: lines[:1] + lines[2:], lambda lines: lines[::-1]]
)
def test_lines_that_are_taken_out_or_moved_are_noticed(log, edit):
    for one in (UP, DOWN, PIN):
        log.add([one], **BY)
    log.path.write_bytes(b"".join(edit(log.path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(DataError, match=r"altered, added or removed by hand; put the file back|line 1"):
        log.read()


def test_writers_in_several_processes_lose_no_change(log, tmp_path):
    write = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from tastemaker.serving.rerank.rule import Rule; from tastemaker.serving.rerank.rule_log import RuleLog\n"
        "log = RuleLog(Path(sys.argv[1]))\n"
        "for n in range(15):\n"
        "    rule = Rule(id=f'{sys.argv[2]}-{n}', owner='o', kind='boost', strength=2.0)\n"
        "    log.add([rule], who='w', at=datetime(2026, 1, 1, tzinfo=UTC), why='y')\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", write, str(log.path), name]) for name in ("a", "b", "c")]
    while any(writer.poll() is None for writer in writers):
        log.read()  # whatever it meets is whole
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    folded = log.read()
    assert len(folded.rules) == len(folded.changes) == 45
    assert {one.id for one in folded.rules.rules} == {f"{name}-{n}" for name in "abc" for n in range(15)}


def test_a_directory_that_cannot_be_written_leaves_the_rules(log, monkeypatch):
    log.add([UP], **BY)
    before = log.path.read_bytes()

    def full(handle, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DataError, match="No space left on device; nothing was changed"):
        log.add([DOWN], **BY)
    assert log.path.read_bytes() == before


def test_a_watch_takes_changes_and_keeps_the_last_good_rules(log):
    watch = RuleWatch(log.path)
    assert (len(watch.rules), watch.problem, watch.look()) == (0, "", False)
    log.add([UP], **BY)
    assert watch.look()
    assert not watch.look()
    good = log.path.read_bytes()
    log.path.write_bytes(good + b'{"number": 2, "half')
    assert not watch.look()
    assert "half a line of 19 bytes" in watch.problem
    log.path.write_bytes(good + b"nonsense\n")
    assert not watch.look()
    assert "line 2" in watch.problem
    assert [one.id for one in watch.rules.rules] == ["up"]
    log.path.unlink()
    assert not watch.look()
    assert "is gone" in watch.problem
    assert [one.id for one in watch.rules.rules] == ["up"]
    log.path.write_bytes(good)
    assert not watch.look()  # the same rules
    assert watch.problem == ""
    log.switch(["up"], enabled=False, **BY)
    assert watch.look()
    assert not watch.rules.by_id["up"].enabled


def test_a_watch_takes_a_file_that_was_put_in_the_others_place(log, tmp_path):
    log.add([UP], **BY)
    watch = RuleWatch(log.path)
    other = RuleLog(tmp_path / "other" / "log.jsonl")
    other.add([PIN], **BY)
    os.replace(other.path, log.path)
    assert watch.look()
    assert list(watch.rules.by_id) == ["p"]


def test_a_watch_of_a_directory_says_so(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    assert "Is a directory" in RuleWatch(tmp_path / "log.jsonl").problem


def test_ten_thousand_rules_are_one_change(log):
    rules = [rule(f"r{n}", "boost", items=[n, n + 1], strength=2.0) for n in range(10_000)]
    log.add(rules, **BY)
    folded = log.read()
    assert len(folded.changes) == 1
    assert folded.rules == RuleSet(tuple(rules))
    assert msgspec.json.decode(log.path.read_bytes())["version"] == folded.rules.version
