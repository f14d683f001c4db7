from datetime import UTC, datetime

import msgspec
import pytest
from candidates_twin import rule

from tastemaker.errors import DataError
from tastemaker.serving.rerank.contradictions import contradictions
from tastemaker.serving.rerank.rule import Rule
from tastemaker.serving.rerank.rule_file import parse_rules, read_rule_file, rule_from
from tastemaker.serving.rerank.rule_set import RuleSet

GOOD = {"id": "winter", "owner": "anna", "kind": "boost", "strength": 2, "where": {"categories": ["kitchen/mugs"]}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "Winter Mugs"}, "no rule id"),
        ({"id": "a" * 65}, "no rule id"),
        ({"owner": ""}, "owner"),
        ({"kind": "lift"}, "'lift' is none of boost, bury, pin, exclude, cap"),
        ({"strength": None}, "needs a strength"),
        ({"strength": 0.5}, "use kind bury"),
        ({"strength": float("nan")}, "strength nan is not above 1"),
        ({"strength": 1e9}, "at most 1000"),
        ({"position": 3}, "takes no position"),
        ({"kind": "pin", "strength": None, "position": 0}, "position 0 is not from 1 to 100"),
        ({"kind": "cap", "strength": None, "limit": 0}, "use kind exclude"),
        ({"kind": "exclude", "strength": None, "where": {}}, "is every item"),
        ({"kind": "exclude", "strength": None, "where": {"surfaces": ["home"]}}, "is every item"),
        ({"from": "2026-01-02", "until": "2026-01-02"}, "is not after"),
        ({"from": "yesterday"}, "from 'yesterday' is no time"),
        ({"where": {"price_from": 5, "price_to": 4}}, "swap them"),
        ({"where": {"price_to": float("nan")}}, "price_to is nan"),
        ({"where": {"price_from": -1}}, "price_from is -1"),
        ({"where": {"categories": ["/kitchen"]}}, "write 'kitchen'"),
        ({"where": {"brand": ["acme"]}}, "brand"),
        ({"where": {"brands": ["x" * 2000]}}, "1024"),
        ({"strenght": 2}, "strenght"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_what_is_wrong(changes, said):
    with pytest.raises(DataError) as refused:
        rule_from({name: value for name, value in (GOOD | changes).items() if value is not None})
    assert said in str(refused.value)


def test_a_rule_survives_json_and_calls_its_dates_from_and_until():
    given = rule_from(GOOD | {"from": "2026-11-01", "until": "2026-12-01T10:00:00+02:00", "note": "Käse 🧀"})
    assert given.since == datetime(2026, 11, 1, tzinfo=UTC)
    assert given.until == datetime(2026, 12, 1, 8, tzinfo=UTC)
    encoded = msgspec.json.encode(given)
    assert b'"from":"2026-11-01T00:00:00Z"' in encoded
    assert msgspec.json.decode(encoded, type=Rule) == given


@pytest.mark.parametrize("value", [None, 3, "boost", [], {}, {"id": 7}, {"id": "a", "owner": "b", "kind": ["pin"]}])
def test_what_is_no_rule_is_refused(value):
    with pytest.raises(DataError):
        rule_from(value)


def test_the_version_is_of_content_and_order():
    one, other = rule("a", "boost", strength=2.0), rule("b", "bury", strength=2.0)
    assert RuleSet((one, other)).version == RuleSet((one, other)).version
    versions = {RuleSet(rules).version for rules in ((), (one,), (one, other), (other, one))}
    assert len(versions) == 4


def test_two_rules_of_one_id_are_refused():
    with pytest.raises(DataError, match="more than one rule is called a"):
        RuleSet.of([rule("a", "boost", strength=2.0)] * 2)


def test_yaml_and_json_files_say_the_same(tmp_path):
    (tmp_path / "rules.yaml").write_text(
        "rules:\n- id: winter\n  owner: anna\n  kind: boost\n  strength: 2\n  from: 2026-11-01\n"
        "  until: 2026-12-01 18:00\n  where: {categories: [kitchen/mugs]}\n"
    )
    content = [GOOD | {"from": "2026-11-01", "until": "2026-12-01T18:00"}]
    (tmp_path / "rules.json").write_bytes(msgspec.json.encode(content))
    found, problems = read_rule_file(tmp_path / "rules.yaml")
    assert problems == []
    assert (found, problems) == read_rule_file(tmp_path / "rules.json")
    assert found[0].until == datetime(2026, 12, 1, 18, tzinfo=UTC)


def test_every_problem_of_a_file_is_told_and_the_rest_can_be_used():
    found, problems = parse_rules([GOOD, GOOD | {"id": "other", "strength": 1}, GOOD, "x"])
    assert [one.id for one in found] == ["winter"]
    assert [problem.split(":")[0] for problem in problems] == ["rule 2", "rule 3", "rule 4"]
    assert "the id winter was there before" in problems[1]


@pytest.mark.parametrize("content", [b"{", b"a: [", b"\xff\xfe\x00", b"7", b"", b"rules: 3", b'{"rules": [], "x": 1}'])
@pytest.mark.parametrize("name", ["rules.yaml", "rules.json"])
def test_a_file_that_is_no_list_of_rules_is_refused_with_its_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_rule_file(tmp_path / name)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_rule_file(tmp_path / "rules.yaml")


def test_an_unsafe_yaml_tag_is_refused(tmp_path):
    (tmp_path / "rules.yaml").write_text("- !!python/object/apply:os.getcwd []")
    with pytest.raises(DataError, match="neither YAML nor JSON"):
        read_rule_file(tmp_path / "rules.yaml")


def test_contradictions_are_found_between_rules_that_meet():
    jan, feb, mar = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))
    rules = [
        rule("a", "pin", items=[1], position=1, until=feb),
        rule("b", "pin", items=[2], position=1, since=jan),
        rule("c", "pin", items=[3], position=1, since=mar, surfaces=("cart",)),
        rule("d", "pin", items=[4], position=1, since=feb, until=mar, surfaces=("home",)),
        rule("e", "exclude", items=[4, 9]),
        rule("f", "boost", items=[7], strength=2.0),
        rule("g", "bury", items=[7], strength=2.0),
        rule("h", "pin", items=[5], position=1, enabled=False),
    ]
    found = contradictions(rules)
    assert [one.rules for one in found] == [("a", "b"), ("b", "c"), ("b", "d"), ("d", "e"), ("f", "g")]
    assert found[0].text == "a and b both pin position 1: a was added first and has it, b gets the next free one"
