"""``tastemaker rules`` on a home of its own."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from tastemaker.cli.app import app
from tastemaker.errors import DataError
from tastemaker.serving.rerank.rule_log import RuleLog, rules_path

GOOD = {"id": "winter", "owner": "anna", "kind": "boost", "strength": 2, "where": {"categories": ["kitchen/mugs"]}}
WHY = ("--why", "winter campaign", "--who", "anna")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "220")
    return tmp_path / "home"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["rules", *words])


def done(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*words: str) -> str:
    result = run(*words)
    assert isinstance(result.exception, DataError), result.output
    return str(result.exception)


def boost(rule_id: str = "winter", *words: str) -> str:
    return done("add", rule_id, "--kind", "boost", "--strength", "2", "--category", "kitchen/mugs", *words, *WHY)


def test_a_home_without_rules_lists_none_and_says_how_to_add_one() -> None:
    output = done("list")
    assert "0 of 0 rules" in output
    assert "tastemaker rules add --help" in output


def test_a_rule_that_is_added_is_listed_shown_and_on_record(home: Path) -> None:
    assert "add: 1 rule, now version" in boost("winter", "--until", "2100-01-01", "--surface", "home")
    listed = done("list")
    assert "1 of 1 rule, version" in listed
    for text in ("winter", "boost × 2.0", "kitchen/mugs", "home", "2100-01-01 00:00", "on"):
        assert text in listed
    shown = done("show", "winter")
    assert "strength: 2.0" in shown
    assert "winter campaign" in shown
    (change,) = RuleLog(rules_path(home)).read().changes
    assert (change.who, change.why, change.rules[0].where.surfaces) == ("anna", "winter campaign", ("home",))


def test_rules_that_are_over_disabled_or_of_other_surfaces_are_listed_on_demand() -> None:
    boost("over", "--until", "2001-01-01")
    boost("later", "--from", "2100-01-01")
    boost("cart", "--surface", "cart")
    boost("off")
    done("disable", "off", *WHY)
    states = {row["id"]: row["state"] for row in json.loads(done("list", "--all", "--json"))}
    assert states == {"over": "over", "later": "to come", "cart": "on", "off": "disabled"}
    assert [row["id"] for row in json.loads(done("list", "--json"))] == ["later", "cart"]
    assert [row["id"] for row in json.loads(done("list", "--json", "--surface", "home"))] == ["later"]


def test_disable_and_enable_are_on_record_with_who_and_why() -> None:
    boost()
    assert "disable: winter" in done("disable", "winter", "--who", "ben", "--why", "sold out")
    done("enable", "winter", *WHY)
    changes = json.loads(done("history", "winter", "--json"))
    assert [(one["what"], one["who"], one["why"]) for one in changes] == [
        ("enable", "anna", "winter campaign"),
        ("disable", "ben", "sold out"),
        ("add", "anna", "winter campaign"),
    ]
    table = done("history", "--limit", "2")
    assert "3 changes" in table
    assert "and 1 more" in table


def test_a_change_without_a_reason_is_refused() -> None:
    boost()
    assert "say why" in refused("disable", "winter")
    assert "say why" in refused("add", "other", "--kind", "boost", "--strength", "2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", *WHY), "say which rule to add"),
        (("add", "a", "--kind", "lift", *WHY), "'lift' is none of boost, bury, pin, exclude, cap"),
        (("add", "a", "--kind", "pin", "--item", "x", *WHY), "needs a position"),
        (("add", "a", "--kind", "exclude", "--item", "x", "--until", "soon", *WHY), "until 'soon' is no time"),
        (("add", "winter", "--kind", "exclude", "--item", "x", *WHY), "say --replace"),
        (("disable", "nobody", *WHY), "no rule is called nobody"),
        (("enable", "winter", *WHY), "is enabled already"),
        (("show", "nobody"), "no rule is called nobody"),
        (("history", "nobody"), "no rule was ever called nobody"),
        (("check", "/nowhere/rules.yaml"), "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_remedy(words: tuple[str, ...], said: str) -> None:
    boost()
    assert said in refused(*words)


def test_replacing_a_rule_keeps_its_place_in_the_order() -> None:
    boost("first")
    boost("second")
    assert "replace: 1 rule" in boost("first", "--brand", "acme", "--replace")
    rows = json.loads(done("list", "--json"))
    assert [(row["id"], "brands" in row["where"]) for row in rows] == [("first", True), ("second", False)]


def test_a_contradiction_is_told_when_it_is_made_and_when_it_is_shown() -> None:
    done("add", "a", "--kind", "pin", "--position", "1", "--item", "x", *WHY)
    made = run("add", "b", "--kind", "pin", "--position", "1", "--item", "y", *WHY)
    assert "a and b both pin position 1" in made.stderr
    assert "a and b both pin position 1" in done("show", "a")


def test_a_file_is_checked_and_added_as_one_change(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    out = {"id": "out", "owner": "anna", "kind": "exclude", "where": {"item_ids": ["x"]}, "until": "2001-01-01"}
    pin = {"id": "pin", "owner": "anna", "kind": "pin", "position": 1, "where": {"item_ids": ["x"]}}
    file.write_text(yaml.safe_dump([GOOD, out, pin]))
    checked = done("check", str(file))
    assert "3 rules can be added; 0 cannot" in checked
    assert "out is over since 2001-01-01 00:00" in checked
    assert "0 changes" in done("history")
    done("add", "--file", str(file), *WHY)
    assert "1 change\n" in done("history")
    assert "3 of them replace one (needs --replace)" in done("check", str(file))


def test_a_file_with_a_bad_rule_fails_the_check_and_adds_nothing(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps([GOOD, GOOD | {"id": "weak", "strength": 1}, GOOD | {"id": "none", "colour": 1}]))
    checked = run("check", str(file))
    assert checked.exit_code == 1
    assert "1 rule can be added; 2 cannot" in checked.output
    assert "rule 2: weak" in checked.stderr
    assert "colour" in checked.stderr
    assert "(and 1 more); nothing was added" in refused("add", "--file", str(file), *WHY)
    assert "0 of 0 rules" in done("list")


def test_a_damaged_log_is_refused_with_the_line_and_the_remedy(home: Path) -> None:
    boost()
    path = rules_path(home)
    path.write_text(path.read_text().replace("winter campaign", "no reason"))
    said = refused("list")
    assert "line 1" in said
    assert "put the file back as it was" in said


def test_help_names_every_command_and_an_example() -> None:
    assert all(name in done("--help") for name in ("list", "show", "add", "disable", "enable", "history", "check"))
    assert "winter-mugs" in done("add", "--help")
