import pytest
from gate_evidence import NOW, drift, evidence, lineage, policy, report
from rich.console import Console

from tastemaker.errors import DataError
from tastemaker.promotion.checks import CHECKS
from tastemaker.promotion.gate import decide
from tastemaker.promotion.lineage import UNKNOWN
from tastemaker.promotion.parity import Parity
from tastemaker.promotion.verdict import Verdict


def _check(verdict, name):
    return next(check for check in verdict.checks if check.name == name)


def test_good_evidence_passes_every_check():
    verdict = decide(policy(), evidence(), now=NOW)
    assert verdict.decision == "pass"
    assert [check.name for check in verdict.checks] == list(CHECKS)
    assert verdict.failures == ()


@pytest.mark.parametrize(
    ("changes", "name", "status", "decision"),
    [
        ({"events": 9_999}, "data_volume", "not_enough_data", "not_enough_data"),
        ({"evaluation": report(users=199)}, "data_volume", "not_enough_data", "not_enough_data"),
        ({"evaluation": None}, "quality_lift", "not_enough_data", "not_enough_data"),
        ({"evaluation": report(lift=(0.01, 0.0, 0.02))}, "quality_lift", "fail", "fail"),
        ({"evaluation": report(lift=(-0.2, -0.22, -0.18))}, "quality_lift", "fail", "fail"),
        ({"champion": "r0"}, "non_inferiority", "not_enough_data", "not_enough_data"),
        # margin 2 % of the champion's .36 is .0072
        ({"champion": "r0", "evaluation": report(champion=(0, -0.0071, 0.01))}, "non_inferiority", "pass", "pass"),
        ({"champion": "r0", "evaluation": report(champion=(0, -0.0073, 0.01))}, "non_inferiority", "fail", "fail"),
        ({"evaluation": report(coverage=0.049)}, "coverage", "fail", "fail"),
        ({"drift": drift(drifted=5)}, "drift", "pass", "pass"),
        ({"drift": drift(drifted=6)}, "drift", "fail", "fail"),
        ({"drift": None}, "drift", "fail", "fail"),
        ({"drift": drift(error="Evidently broke")}, "drift", "fail", "fail"),
        ({"drift": drift(columns=0)}, "drift", "fail", "fail"),
        ({"parity": None}, "train_serve_parity", "not_enough_data", "not_enough_data"),
        (
            {"parity": Parity(rows=0, columns=16, max_difference=0, one_sided=0)},
            "train_serve_parity",
            "not_enough_data",
            "not_enough_data",
        ),
        (
            {"parity": Parity(rows=9, columns=2, max_difference=1.1e-5, one_sided=0)},
            "train_serve_parity",
            "fail",
            "fail",
        ),
        ({"parity": Parity(rows=9, columns=2, max_difference=0, one_sided=1)}, "train_serve_parity", "fail", "fail"),
        ({"lineage": None}, "lineage", "fail", "fail"),
        ({"lineage": lineage(lake_versions={})}, "lineage", "fail", "fail"),
        ({"lineage": lineage(plan_hash="")}, "lineage", "fail", "fail"),
        ({"lineage": lineage(code_commit=UNKNOWN, code_note="no git")}, "lineage", "pass", "pass"),
        ({"files": {}}, "lineage", "fail", "fail"),
    ],
)
def test_each_check_decides_at_its_limit(changes, name, status, decision):
    verdict = decide(policy(), evidence(**changes), now=NOW)
    check = _check(verdict, name)
    assert (check.status, verdict.decision) == (status, decision)
    assert bool(check.remedy) == (status != "pass")


def test_a_failure_outweighs_missing_data():
    verdict = decide(policy(), evidence(events=1, drift=None), now=NOW)
    assert verdict.decision == "fail"
    assert {check.name for check in verdict.failures} == {"data_volume", "drift"}


def test_nothing_measured_blocks_without_an_exception():
    nothing = evidence(events=0, evaluation=None, drift=None, parity=None, lineage=None, champion="r0", files={})
    verdict = decide(policy(), nothing, now=NOW)
    assert verdict.decision == "fail"
    assert len(verdict.failures) == len(CHECKS)


def test_a_check_that_is_switched_off_is_not_in_the_verdict():
    off = policy().model_copy(update={"checks": policy().checks.model_copy(update={"drift": None})})
    verdict = decide(off, evidence(drift=None), now=NOW)
    assert verdict.decision == "pass"
    assert "drift" not in {check.name for check in verdict.checks}


def test_a_required_commit_must_be_known():
    strict = policy().checks.lineage.model_copy(update={"require_commit": True})
    changed = policy().model_copy(update={"checks": policy().checks.model_copy(update={"lineage": strict})})
    verdict = decide(changed, evidence(lineage=lineage(code_commit=UNKNOWN)), now=NOW)
    assert "git commit" in _check(verdict, "lineage").summary


def test_deciding_again_gives_the_same_verdict():
    assert decide(policy(), evidence(), now=NOW).hash == decide(policy(), evidence(), now=NOW).hash


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"evaluation": report(coverage=0.41)}, "evaluation"),
        ({"drift": drift(drifted=2)}, "drift"),
        ({"lineage": lineage(seed=1)}, "lineage"),
        ({"parity": Parity(rows=501, columns=16, max_difference=1e-7, one_sided=0)}, "parity"),
        ({"files": {"model.bin": "ac"}}, "files"),
    ],
)
def test_other_evidence_changes_the_hash_of_what_was_judged(changes, name):
    before, after = (decide(policy(), e, now=NOW).judged for e in (evidence(), evidence(**changes)))
    assert {part for part in before if before[part] != after[part]} == {name}


def test_the_verdict_survives_json_unchanged():
    verdict = decide(policy(), evidence(champion=None), now=NOW, decided_by="someone")
    assert Verdict.from_json(verdict.to_json()) == verdict
    with pytest.raises(DataError, match="not a verdict"):
        Verdict.from_json(b"{}")


def test_markdown_shows_decision_checks_and_remedies():
    text = decide(policy(), evidence(drift=None), now=NOW).markdown()
    assert text.startswith("## Gate: FAIL\n")
    assert "| drift | FAIL | – | 0.5 | drift is unknown: there is no report |" in text
    assert "- **drift**: make the drift report run" in text
    # lift .03 in [.01, .05] against limit 0
    assert "| quality_lift | pass | 0.03 [0.01, 0.05] | 0 |" in text


def test_the_terminal_table_shows_intervals_and_remedies():
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(decide(policy(), evidence(evaluation=report(lift=(-0.1, -0.2, 0.0))), now=NOW).table())
    text = console.export_text()
    assert "FAIL" in text
    assert "-0.1 [-0.2, 0]" in text
    assert "→ the release is not shown to be better" in text
