import subprocess
from datetime import UTC, datetime

import numpy as np
import pytest
from gate_evidence import NOW

from tastemaker.errors import DataError
from tastemaker.lake.tables import SCHEMAS, Lake
from tastemaker.promotion.lineage import UNKNOWN, code_hash, collect_lineage, git_commit
from tastemaker.promotion.parity import Parity


def test_parity_is_absolute_for_small_and_relative_for_large_values():
    # .5 against .6 differ by .1; 1000 against 1001 by 1/1001 = .000999
    found = Parity.between([[0.5, 1000.0]], [[0.6, 1001.0]], ["small", "large"])
    assert found.max_difference == pytest.approx(0.1)
    assert found.worst == "small"
    assert Parity.between([[1000.0]], [[1001.0]], ["large"]).max_difference == pytest.approx(1 / 1001)


def test_missing_on_both_sides_is_equal_and_on_one_side_is_not():
    found = Parity.between([[np.nan, np.nan]], [[np.nan, 1.0]], ["both", "one"])
    assert (found.max_difference, found.one_sided, found.worst) == (0, 1, "one")


def test_equal_matrices_have_no_worst_column():
    assert Parity.between(np.ones((3, 2)), np.ones((3, 2)), ["a", "b"]).worst == ""


def test_no_rows_compare_to_nothing():
    found = Parity.between(np.empty((0, 2)), np.empty((0, 2)), ["a", "b"])
    assert (found.rows, found.max_difference) == (0, 0)


def test_unequal_shapes_are_refused():
    with pytest.raises(DataError, match="equal shapes"):
        Parity.between(np.ones((3, 2)), np.ones((2, 2)), ["a", "b"])


def _git(directory, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(directory), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    _git(tmp_path, "init", "-q")
    (tmp_path / "file.txt").write_text("one")
    _git(tmp_path, "add", "file.txt")
    _git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_clean_checkout_gives_its_commit_without_a_note(checkout):
    commit, note = git_commit(checkout)
    assert len(commit) == 40
    assert note == ""


def test_changed_files_are_noted(checkout):
    (checkout / "file.txt").write_text("two")
    assert git_commit(checkout)[1] == "1 files differ from it"


def test_no_repository_is_unknown_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    commit, note = git_commit(tmp_path)
    assert commit == UNKNOWN
    assert "not a git repository" in note


def test_no_git_is_unknown_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path) == (UNKNOWN, "git is not installed")


def test_the_code_hash_follows_the_feature_declarations(tmp_path):
    before = code_hash(tmp_path)
    (tmp_path / "feature_repo").mkdir()
    (tmp_path / "feature_repo" / "views.py").write_text("WINDOW = 7")
    changed = code_hash(tmp_path)
    (tmp_path / "feature_repo" / "notes.txt").write_text("no code")
    assert before != changed
    assert code_hash(tmp_path) == changed


def _collect(lake, checkout, **changes):
    values = {
        "lake": lake,
        "repository": checkout,
        "data_from": datetime(2024, 1, 1, tzinfo=UTC),
        "data_to": datetime(2024, 2, 1, tzinfo=UTC),
        "plan_hash": "91a4",
        "parameters": {"epochs": 3},
        "seed": 7,
        "now": NOW,
    }
    return collect_lineage(**{**values, **changes})


def test_lineage_holds_the_versions_of_the_existing_tables(checkout):
    lake = Lake(checkout / "lake")
    assert _collect(lake, checkout).lake_versions == {}
    lake.create()
    rows = SCHEMAS["events"].empty_table()
    lake.append("events", rows, {"test": 1})
    assert _collect(lake, checkout).lake_versions == dict.fromkeys(SCHEMAS, 0) | {"events": 1}


def test_parameters_that_are_no_json_are_refused(checkout):
    with pytest.raises(DataError, match="training parameters"):
        _collect(Lake(checkout / "lake"), checkout, parameters={"model": object()})
