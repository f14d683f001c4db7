"""The rules, by Prometheus's own tools: syntax, unit tests of every alert, and metrics that exist."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from promql import read_of

from tastemaker.observability.alert import page_name
from tastemaker.observability.flow_alerts import drift_alert, gate_alert, rollback_alert

REPOSITORY = Path(__file__).parents[3]
MONITORING = REPOSITORY / "monitoring" / "prometheus"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
RULE_FILES = sorted((MONITORING / "rules").glob("*.yaml"))
TEST_FILES = sorted((MONITORING / "tests").glob("*.yaml"))
POSTED = [drift_alert("features"), gate_alert("default"), rollback_alert("local")]


def rules() -> list[dict]:
    return [
        rule for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]
    ]


def alerts() -> dict[str, dict]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def posted_names() -> set[str]:
    """Names of the alerts that the code makes anywhere."""
    return {
        keyword.value.value
        for folder in ("src/tastemaker", "flows")
        for path in (REPOSITORY / folder).rglob("*.py")
        if "Alert(" in path.read_text()
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Alert"
        for keyword in call.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def test_promtool_takes_the_rules(programs):
    checked = run(programs.promtool, "check", "rules", *RULE_FILES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(re.findall("SUCCESS", checked.stdout)) == len(RULE_FILES) == 4


def test_promtool_refuses_a_broken_rule(programs, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(RULE_FILES[0].read_text().replace("sum(", "sum((", 1))
    assert run(programs.promtool, "check", "rules", broken).returncode == 1


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.stem)
def test_rules_fire_and_do_not_fire_as_their_tests_say(programs, path):
    tested = run(programs.promtool, "test", "rules", path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not():
    checks = [
        check
        for path in TEST_FILES
        for test in yaml.safe_load(path.read_text())["tests"]
        for check in test["alert_rule_test"]
    ]
    assert {check["alertname"] for check in checks if check["exp_alerts"]} == set(alerts())
    assert {check["alertname"] for check in checks if not check["exp_alerts"]} == set(alerts())


@pytest.mark.parametrize("name", alerts())
def test_every_alert_says_who_what_and_where_to_read_on(name):
    rule = alerts()[name]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["labels"]["owner"] in {"ml", "features", "serving"}
    annotations = rule["annotations"]
    assert annotations["summary"]
    assert annotations["action"]
    assert annotations["runbook_url"] == f"docs/runbooks/{page_name(name)}"


def test_each_alert_has_its_runbook_and_each_runbook_its_alert():
    pages = {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md"}
    assert posted_names() >= {"Drift", "GateBlocked", "ReleaseRolledBack", "TestAlert"}
    assert pages == {page_name(name) for name in {*alerts(), *posted_names()}}


@pytest.mark.parametrize(
    "page", [path for path in sorted(RUNBOOKS.glob("*.md")) if path.stem != "README"], ids=lambda page: page.stem
)
def test_runbook_says_what_how_to_see_it_what_to_do_and_when_it_is_over(page):
    text = page.read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["What it means", "How to see it", "What to do", "How to know that it is over"]
    assert f"({page.name})" in (RUNBOOKS / "README.md").read_text()


@pytest.mark.parametrize("posted", POSTED, ids=lambda alert: alert.name)
def test_alert_that_a_flow_posts_is_the_one_of_the_rule(posted):
    """Alertmanager takes two alerts for one when all labels are equal."""
    rule = alerts()[posted.name]
    (by,) = re.findall(r"by \((\w+)\)", rule["expr"])
    assert set(posted.identity) == {"alertname", by, *rule["labels"]}
    assert {name: posted.identity[name] for name in rule["labels"]} == rule["labels"]
    assert posted.action == rule["annotations"]["action"]
    value = posted.labels[by]
    told = f"tastemaker_told_timestamp_seconds{{alert='{posted.name}',of='%s'}}"
    words = f'{{{{ with printf "{told}" $labels.{by} | query }}}}'
    otherwise = posted.summary.replace(value, f"{{{{ $labels.{by} }}}}")
    assert rule["annotations"]["summary"] == (
        f'{words}{{{{ . | first | label "summary" }}}}{{{{ else }}}}{otherwise}{{{{ end }}}}'
    )
    assert set(rule["annotations"]) == {*posted.annotations, "summary", "action", "runbook_url"}


def test_rules_read_only_what_exists(existing):
    recorded = {rule["record"]: frozenset({"slo"}) for rule in rules() if "record" in rule}
    known = existing | recorded
    for rule in rules():
        series, labels = read_of(rule["expr"])
        assert series, rule
        assert series <= set(known), f"{rule.get('alert', rule.get('record'))} reads {series - set(known)}"
        # "component" is made of the job by label_replace
        assert labels <= {"component"}.union(*(known[name] for name in series)), rule


def test_words_of_alerts_come_from_a_series_that_exists(existing):
    asked = [
        found
        for rule in alerts().values()
        for text in rule["annotations"].values()
        for found in re.findall(r"printf \"(\w+)\{(\w+)='(\w+)',(\w+)=", text)
    ]
    assert {alert for _, _, alert, _ in asked} == {posted.name for posted in POSTED}
    for series, name, _, of in asked:
        assert {name, of, "summary", "details"} <= existing[series]


@pytest.mark.parametrize(
    ("expression", "series", "labels"),
    [
        ('sum by (a, b) (rate(m_total{c="x, y",d!~"z(1)"}[5m])) > 1.5e3', {"m_total"}, {"a", "b", "c", "d"}),
        ("time() - max by (f) (n) > on (f) max by (f) (o)", {"n", "o"}, {"f"}),
        ("slo:x:rate1h > 14.4 * 0.001 and slo:x:rate5m offset 26h", {"slo:x:rate1h", "slo:x:rate5m"}, set()),
        ("(a or vector(0)) / (b > 0)", {"a", "b"}, set()),
        ("m == bool 1 unless on () up{}", {"m", "up"}, set()),
    ],
)
def test_reader_of_expressions_finds_series_and_labels(expression, series, labels):
    assert read_of(expression) == (series, labels)
