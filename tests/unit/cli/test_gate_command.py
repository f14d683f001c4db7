"""``tastemaker gate`` and ``tastemaker drift``: what they print, and the status that they end with."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tastemaker.cli.app import app
from tastemaker.errors import DataError
from tastemaker.promotion.gate import decide
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.settings import Settings
from tests.unit.promotion.gate_evidence import NOW, drift, evidence, policy, write_release

POLICIES = Path(__file__).parents[3] / "monitoring" / "gates"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TASTEMAKER_REPOSITORY", str(POLICIES.parents[1]))
    monkeypatch.setenv("COLUMNS", "220")
    return Settings.from_env()


@pytest.fixture
def register(settings, tmp_path):
    def _register(**changes):
        found = evidence(files=write_release(tmp_path / "trained"), **changes)
        verdict = decide(policy(), found, now=NOW)
        return ReleaseRegistry(settings).register(tmp_path / "trained", found, verdict)

    return _register


def _gate(*words: str) -> Result:
    return CliRunner().invoke(app, ["gate", "--release", "r1", *words])


@pytest.mark.parametrize(
    ("changes", "words", "status"),
    [
        ({}, (), 0),
        ({"drift": drift(drifted=6)}, (), 1),
        ({"events": 9_999, "contents": None}, (), 2),
        ({}, ("--policy", "strict"), 1),
        ({}, ("--policy", "production"), 2),
        ({}, ("--policy", "absent"), 3),
    ],
)
def test_the_status_is_the_verdict(register, changes, words, status):
    register(**changes)
    assert _gate(*words).exit_code == status


def test_a_failure_is_printed_with_reason_and_remedy(register):
    register(drift=drift(drifted=6))
    shown = _gate().output
    assert "6 of 10 columns drifted: f0 wasserstein" in shown
    assert "→ open the drift report" in shown


def test_the_verdict_is_printed_for_machines(register):
    register()
    assert json.loads(_gate("--json").output)["decision"] == "pass"


def test_a_changed_release_cannot_be_judged(register):
    weights = register().path / "tower" / "weights.bin"
    weights.chmod(0o644)
    weights.write_text("other")
    assert _gate().exit_code == 3


def test_a_release_that_is_not_there_cannot_be_judged(settings):
    assert _gate().exit_code == 3


def test_the_history_says_which_verdicts_hold(register):
    register()
    _gate("--policy", "strict")
    shown = _gate("--history").output
    assert "default: pass; holds" in shown
    assert "strict: fail; holds" in shown


def test_a_policy_of_one_s_own_is_given_by_its_path(register, tmp_path):
    register()
    own = tmp_path / "own.yaml"
    own.write_text((POLICIES / "default.yaml").read_text().replace("name: default", "name: own"))
    assert _gate("--policy", str(own)).exit_code == 0


def _drift(*words: str) -> Result:
    return CliRunner().invoke(app, ["drift", *words])


def test_drift_reports_are_listed_and_shown(settings):
    assert "No report yet" in _drift("list").output
    for name in ("r1", "drift/20240301t120000"):
        (settings.reports_dir / name).mkdir(parents=True)
        (settings.reports_dir / name / "drift.json").write_bytes(drift(drifted=2).to_json())
    listed = _drift("list").output
    assert "2 of 10" in listed
    assert "drift/20240301t120000" in listed
    shown = _drift("show", "r1").output
    assert "limits from 1,000 windows of 28 reference days" in shown
    assert "f1" in shown
    assert "f2" not in shown
    assert "f2" in _drift("show", "r1", "--all").output
    assert json.loads(_drift("show", "r1", "--json").output)["groups"][0]["calibration"]["resamples"] == 1000


def test_a_drift_report_that_is_not_there_points_to_the_list(settings):
    with pytest.raises(DataError, match="tastemaker drift list"):
        raise _drift("show", "r9").exception


def test_a_drift_check_without_a_champion_says_what_to_do(settings):
    with pytest.raises(DataError, match="no release is in production yet"):
        raise _drift("check").exception
