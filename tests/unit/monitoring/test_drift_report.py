import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from monitoring.drift import CALIBRATION_NAME, HTML_NAME, JSON_NAME, SUMMARY_NAME, DriftGroup, write_drift_report
from tastemaker.evaluation.drift import DriftLimits, DriftSummary

ROWS = 2000


def _frame(seed, rows=ROWS, days=20):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "day": rng.integers(0, days, rows),
            "count": rng.poisson(3, rows).astype(np.float32),
            "money": rng.lognormal(size=rows),
            "share": rng.uniform(size=rows),
            "device": rng.choice(["web", "app", "kiosk"], rows, p=[0.6, 0.3, 0.1]),
            "never": np.full(rows, np.nan),
            "always": np.ones(rows),
        }
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """One report over a frame in which each column drifts in its own way."""
    directory = tmp_path_factory.mktemp("drift")
    reference, current = _frame(1), _frame(2)
    current["money"] += 0.5 * reference["money"].std()
    current.loc[current.index[: ROWS // 5], "share"] = np.nan
    current["device"] = np.where(np.arange(ROWS) % 20 == 0, "watch", current["device"])
    current["late"] = 1.0
    current["frozen"], reference["frozen"] = 0.0, np.arange(ROWS) % 7.0
    reference["emptied"] = np.arange(ROWS, dtype=float)
    current["emptied"] = np.nan
    outcomes = [DriftGroup("targets", _frame(3)[["day", "money"]], _frame(4)[["day", "money"]])]
    served = DriftGroup("predictions", _frame(5).head(20), _frame(6))
    summary = write_drift_report(
        reference,
        current,
        directory,
        labels=("training", "last week"),
        others=[*outcomes, served],
        figures=[("ndcg@10 of the release", 0.3712)],
    )
    return directory, summary


def _column(summary, name, check):
    return next(one for one in summary.columns if (one.column, one.check, one.group) == (name, check, "features"))


@pytest.mark.parametrize(
    ("column", "check", "status"),
    [
        ("count", "wasserstein", "stable"),
        ("money", "wasserstein", "drifted"),
        ("share", "missing_share", "drifted"),
        ("device", "new_categories", "drifted"),
        ("never", "empty", "unchecked"),
        ("always", "constant", "stable"),
        ("late", "absent", "drifted"),
        ("frozen", "constant", "drifted"),
        ("emptied", "missing_share", "drifted"),
        ("emptied", "empty", "drifted"),
    ],
)
def test_each_column_is_decided_by_the_check_that_sees_it(report, column, check, status):
    assert _column(report[1], column, check).status == status


def test_the_share_counts_checked_columns_alone(report):
    summary = report[1]
    # Nine columns, one unchecked, and one of the targets; drifted: money, share, device, late, frozen, emptied.
    assert (summary.checked, len(summary.drifted)) == (9, 6)
    assert summary.share == pytest.approx(6 / 9)


def test_the_distance_is_the_shift_in_standard_deviations(report):
    # All of money moved by half of the reference's standard deviation; .1 % at the top is clipped before measuring.
    money = _frame(1)["money"]
    clipped = money.clip(*money.quantile([0.001, 0.999])).std()
    moved = _column(report[1], "money", "wasserstein").value
    assert moved == pytest.approx(0.5 * money.std() / clipped, abs=0.1)


def test_four_files_are_written_and_the_summary_reads_back(report):
    directory, summary = report
    assert DriftSummary.from_json((directory / SUMMARY_NAME).read_bytes()) == summary
    assert "money" in (directory / HTML_NAME).read_text()
    assert json.loads((directory / JSON_NAME).read_text())["metrics"]
    assert summary.report == HTML_NAME
    calibrations = json.loads((directory / CALIBRATION_NAME).read_text())
    assert set(calibrations) == {"features", "targets"}
    # A third of .05 for each of the three groups.
    assert calibrations["features"]["false_alarm_rate"] == pytest.approx(0.05 / 3)


def test_the_page_shows_the_calibration_and_our_own_figures(report):
    page = (report[0] / HTML_NAME).read_text()
    assert "windows of 10 reference days" in page  # half of the 20
    assert "ndcg@10 of the release" in page
    assert "predictions</h2><p>not compared: the reference frame has 20 rows" in page


def test_evidently_is_given_the_calibrated_limits(report):
    limit = _column(report[1], "money", "wasserstein").limit
    assert f'"threshold": {limit}' in json.dumps(json.loads((report[0] / JSON_NAME).read_text()))


def test_too_little_of_another_group_is_said_and_is_no_error(report):
    found = {group.name: group for group in report[1].groups}
    assert not report[1].error
    assert "20 rows" in found["predictions"].error
    assert found["targets"].calibration is not None


def test_the_sample_is_as_far_off_as_the_summary_says(report):
    # Frames below the sample's size are shown whole; what is left is the rounding to 512 values.
    assert all(group.sampling_error < 0.01 for group in report[1].groups if group.calibration)


def test_two_samples_of_one_distribution_do_not_drift(tmp_path):
    summary = write_drift_report(_frame(1), _frame(2), tmp_path)
    assert (summary.error, summary.drifted) == ("", ())
    assert summary.checked == 5


def test_large_frames_are_sampled_and_say_how_many_rows_they_had(tmp_path):
    summary = write_drift_report(_frame(1), _frame(2), tmp_path, limits=DriftLimits(rows=500))
    assert (summary.reference_rows, summary.current_rows) == (ROWS, ROWS)
    assert not summary.error
    assert 0 < summary.groups[0].sampling_error < 0.3


@pytest.mark.parametrize("current", [pd.DataFrame(), _frame(1).head(0), _frame(1).head(10)])
def test_too_few_rows_are_an_error_in_the_summary(tmp_path, current):
    (tmp_path / HTML_NAME).write_text("an older report")
    summary = write_drift_report(_frame(1), current, tmp_path)
    assert "at least 200 are needed" in summary.error
    assert not (tmp_path / HTML_NAME).exists()
    assert DriftSummary.from_json((tmp_path / SUMMARY_NAME).read_bytes()).error == summary.error


def test_nothing_to_check_is_an_error_in_the_summary(tmp_path):
    empty = pd.DataFrame({"never": np.full(ROWS, np.nan), "day": np.arange(ROWS) % 20})
    assert write_drift_report(empty, empty, tmp_path).error == "no column could be checked"


def test_a_comparison_that_breaks_is_an_error_in_the_summary(tmp_path, monkeypatch):
    import evidently

    def broken(*_, **__):
        raise ValueError("out of memory")

    monkeypatch.setattr(evidently.Report, "run", broken)
    summary = write_drift_report(_frame(1), _frame(2), tmp_path)
    assert summary.error == "ValueError: out of memory"
    assert not summary.columns


def test_infinite_values_count_as_missing(tmp_path):
    current = _frame(2)
    current.loc[current.index[: ROWS // 2], "money"] = np.inf
    summary = write_drift_report(_frame(1), current, tmp_path)
    assert _column(summary, "money", "missing_share").status == "drifted"


def test_the_module_loads_without_evidently():
    code = "import sys, monitoring.drift; sys.exit('evidently' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
