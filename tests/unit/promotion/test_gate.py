import pytest
from gate_evidence import NOW, conduct, drift, evidence, lineage, policy, report
from rich.console import Console

from tastemaker.errors import DataError
from tastemaker.promotion import policy_limits
from tastemaker.promotion.checks import CHECKS
from tastemaker.promotion.findings import Contents, Leaks, ServingLoad
from tastemaker.promotion.gate import decide
from tastemaker.promotion.lineage import UNKNOWN
from tastemaker.promotion.list_conduct import ProbabilityError
from tastemaker.promotion.parity import Parity
from tastemaker.promotion.verdict import Verdict


def _check(verdict, name):
    return next(check for check in verdict.checks if check.name == name)


def _probabilities(**changes):
    values = {"pairs": 10_000, "bought": 100, "expected": 100.0, "error": 0.002}
    return ProbabilityError(**{**values, **changes})


def test_good_evidence_passes_every_check():
    verdict = decide(policy(), evidence(), now=NOW)
    assert verdict.decision == "pass"
    # The load on a Bento is asked for by another policy.
    assert [check.name for check in verdict.checks] == [name for name in CHECKS if name != "serving"]
    assert verdict.failures == ()


@pytest.mark.parametrize(
    ("changes", "name", "status", "decision"),
    [
        ({"events": 9_999}, "data_volume", "not_enough_data", "not_enough_data"),
        ({"evaluation": report(users=199)}, "data_volume", "not_enough_data", "not_enough_data"),
        ({"evaluation": None}, "baseline_quality", "not_enough_data", "not_enough_data"),
        ({"evaluation": report(lift=(0.01, 0.0, 0.02))}, "baseline_quality", "fail", "fail"),
        ({"evaluation": report(lift=(-0.2, -0.22, -0.18))}, "baseline_quality", "fail", "fail"),
        ({"champion": "r0"}, "champion_quality", "not_enough_data", "not_enough_data"),
        # margin 2 % of the champion's .36 is .0072
        ({"champion": "r0", "evaluation": report(champion=(0, -0.0071, 0.01))}, "champion_quality", "pass", "pass"),
        ({"champion": "r0", "evaluation": report(champion=(0, -0.0073, 0.01))}, "champion_quality", "fail", "fail"),
        ({"evaluation": report(coverage=0.049)}, "coverage", "fail", "fail"),
        # A margin of 5 % of .30 is .015: shown to be worse only when the whole interval is below -.015.
        ({"conduct": conduct(segment=(-0.03, -0.05, -0.0149))}, "worst_segment", "pass", "pass"),
        ({"conduct": conduct(segment=(-0.03, -0.05, -0.0151))}, "worst_segment", "fail", "fail"),
        ({"conduct": conduct(users=49)}, "worst_segment", "not_enough_data", "not_enough_data"),
        ({"conduct": conduct(cold=(-0.05, -0.06, -0.0301))}, "cold_start", "fail", "fail"),
        ({"conduct": conduct(cold=(-0.05, -0.06, -0.0299))}, "cold_start", "pass", "pass"),
        ({"conduct": None}, "cold_start", "not_enough_data", "not_enough_data"),
        ({"conduct": conduct(popularity=0.96)}, "popularity_bias", "fail", "fail"),
        ({"conduct": conduct(popularity=None)}, "popularity_bias", "not_enough_data", "not_enough_data"),
        ({"conduct": conduct(gini=0.981)}, "exposure", "fail", "fail"),
        ({"conduct": conduct(gini=None)}, "exposure", "not_enough_data", "not_enough_data"),
        ({"conduct": conduct(probabilities=_probabilities(error=0.051))}, "calibration", "fail", "fail"),
        # Three times too many, and three times too few.
        ({"conduct": conduct(probabilities=_probabilities(expected=301.0))}, "calibration", "fail", "fail"),
        ({"conduct": conduct(probabilities=_probabilities(expected=33.0))}, "calibration", "fail", "fail"),
        ({"conduct": conduct(probabilities=_probabilities(expected=299.0))}, "calibration", "pass", "pass"),
        ({"conduct": conduct(probabilities=_probabilities(bought=0))}, "calibration", *2 * ("not_enough_data",)),
        ({"leaks": None}, "leaks", "not_enough_data", "not_enough_data"),
        ({"leaks": Leaks(features=4, planted_found=True)}, "leaks", "not_enough_data", "not_enough_data"),
        ({"leaks": Leaks(features=21)}, "leaks", "not_enough_data", "not_enough_data"),
        ({"leaks": Leaks(features=21, planted_found=False)}, "leaks", "fail", "fail"),
        ({"leaks": Leaks(features=21, planted_found=True, leaking=("f: tells all",))}, "leaks", "fail", "fail"),
        ({"contents": Contents(events=1, size_bytes=2049 * 2**20)}, "size", "fail", "fail"),
        ({"contents": None}, "size", "not_enough_data", "not_enough_data"),
        ({"drift": drift(check="missing_share")}, "data_quality", "fail", "fail"),
        ({"drift": drift(error="2 rows", shortage=True)}, "drift", "not_enough_data", "not_enough_data"),
        ({"drift": drift(rate=0.2)}, "drift", "not_enough_data", "not_enough_data"),
        # 2 and 3 of 10 columns, at a limit of .25.
        ({"drift": drift(drifted=2)}, "drift", "pass", "pass"),
        ({"drift": drift(drifted=3)}, "drift", "fail", "fail"),
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
    assert {check.name for check in verdict.failures} == {"data_volume", "data_quality", "drift"}


def test_nothing_measured_blocks_without_an_exception():
    parts = dict.fromkeys(("evaluation", "drift", "parity", "lineage", "conduct", "leaks", "contents"))
    nothing = evidence(events=0, champion="r0", files={}, **parts)
    verdict = decide(policy(), nothing, now=NOW)
    assert verdict.decision == "fail"
    assert len(verdict.failures) == len(CHECKS) - 1  # no load was asked for


def test_a_check_that_is_switched_off_is_not_in_the_verdict():
    off = _changed(drift=None, data_quality=None)
    verdict = decide(off, evidence(drift=None), now=NOW)
    assert verdict.decision == "pass"
    assert "drift" not in {check.name for check in verdict.checks}


def _changed(**checks):
    return policy().model_copy(update={"checks": policy().checks.model_copy(update=checks)})


def test_a_floor_lets_a_column_move_so_far_and_no_farther():
    def decided(floor):
        limits = policy().checks.drift.model_copy(update={"max_share": 0.0, "floors": {"f0": floor}})
        return _check(decide(_changed(drift=limits), evidence(drift=drift(value=0.3)), now=NOW), "drift").status

    assert [decided(floor) for floor in (0.31, 0.29)] == ["pass", "fail"]


@pytest.mark.parametrize(
    ("mode", "low", "status"),
    # The best baseline has .34, and 5 % of that is .017.
    [
        ("superiority", 0.0169, "fail"),
        ("superiority", 0.0171, "pass"),
        ("non_inferiority", -0.0169, "pass"),
        ("non_inferiority", -0.0171, "fail"),
    ],
)
def test_a_comparison_is_by_superiority_or_non_inferiority(mode, low, status):
    limits = policy_limits.QualityLimits(metric="ndcg", mode=mode, margin=0.05)
    verdict = decide(_changed(baseline_quality=limits), evidence(evaluation=report(lift=(0.02, low, 0.05))), now=NOW)
    assert _check(verdict, "baseline_quality").status == status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "pass"),
        ({"requests": 99}, "not_enough_data"),
        ({"failed": 1}, "fail"),
        ({"p99_ms": 51.0}, "fail"),
        ({"memory_mb": 801.0}, "fail"),
    ],
)
def test_the_load_on_the_bento_is_judged_by_failures_time_and_memory(changes, status):
    values = {"bento": "b:1", "requests": 100, "failed": 0, "p50_ms": 3.0, "p99_ms": 9.0, "memory_mb": 400.0}
    load = ServingLoad(**{**values, "ready_s": 5.0, **changes})
    limits = policy_limits.ServingLimits(min_requests=100, max_failed_share=0.0, max_p99_ms=50.0, max_memory_mb=800.0)
    verdict = decide(_changed(serving=limits), evidence(serving=load), now=NOW)
    assert _check(verdict, "serving").status == status


def test_new_items_that_are_hardly_shown_fail_where_the_policy_asks():
    # .02 of the places by .04 of the sales is a ratio of .5.
    for ratio, status in ((0.49, "pass"), (0.51, "fail")):
        limits = policy().checks.exposure.model_copy(update={"min_new_item_ratio": ratio})
        assert _check(decide(_changed(exposure=limits), evidence(), now=NOW), "exposure").status == status


def test_a_required_licence_must_be_known():
    limits = policy().checks.lineage.model_copy(update={"require_licences": True})
    contents = Contents(events=1, size_bytes=1, licences={"code": "MIT", "data": ""})
    verdict = decide(_changed(lineage=limits), evidence(contents=contents), now=NOW)
    assert "licence of the data" in _check(verdict, "lineage").summary


def test_a_required_commit_must_be_known():
    strict = policy().checks.lineage.model_copy(update={"require_commit": True})
    verdict = decide(_changed(lineage=strict), evidence(lineage=lineage(code_commit=UNKNOWN)), now=NOW)
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
        ({"conduct": conduct(gini=0.5)}, "conduct"),
        ({"leaks": Leaks(features=20, planted_found=True)}, "leaks"),
        ({"contents": Contents(events=1, size_bytes=1)}, "contents"),
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
    assert "| drift | FAIL | – | 0.25 | drift is unknown: there is no report |" in text
    assert "- **drift**: make the drift report run" in text
    # lift .03 in [.01, .05] against limit 0
    assert "| baseline_quality | pass | 0.03 [0.01, 0.05] | 0 |" in text


def test_the_terminal_table_shows_intervals_and_remedies():
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(decide(policy(), evidence(evaluation=report(lift=(-0.1, -0.2, 0.0))), now=NOW).table())
    text = console.export_text()
    assert "FAIL" in text
    assert "-0.1 [-0.2, 0]" in text
    assert "→ the release is not shown to be good" in text
