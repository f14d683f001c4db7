import numpy as np
import pandas as pd
import pytest

from tastemaker.errors import DataError
from tastemaker.evaluation.drift import ColumnDrift, DriftLimits, DriftSummary, fold_categories, sample, screen

LIMITS = DriftLimits()


def test_the_share_of_missing_values_may_change_up_to_its_limit():
    reference = pd.DataFrame({"x": np.arange(1000.0)})
    within, beyond = reference.copy(), reference.copy()
    within.loc[:49, "x"] = np.nan  # 5.0 %
    beyond.loc[:50, "x"] = np.nan  # 5.1 %
    assert screen(reference, within, LIMITS) == {}
    found = screen(reference, beyond, LIMITS)["x"]
    assert (found.check, found.status) == ("missing_share", "drifted")
    assert found.value == pytest.approx(0.051)


@pytest.mark.parametrize(
    ("before", "now", "status"), [(1.0, 1.0, "stable"), (1.0, 2.0, "drifted")], ids=["same", "another"]
)
def test_a_constant_column_is_judged_by_its_value(before, now, status):
    found = screen(pd.DataFrame({"x": [before] * 50}), pd.DataFrame({"x": [now] * 50}), LIMITS)
    assert found["x"].status == status


def test_a_constant_that_begins_to_vary_has_drifted():
    found = screen(pd.DataFrame({"x": [0.0] * 50}), pd.DataFrame({"x": np.arange(50.0)}), LIMITS)["x"]
    assert (found.check, found.status) == ("constant", "drifted")


def test_rare_categories_are_folded_by_the_frequency_in_the_reference():
    before, now = fold_categories(pd.Series(list("aaabbc")), pd.Series(list("abcd")), keep=2)
    assert before.tolist() == ["a", "a", "a", "b", "b", "(other)"]
    assert now.tolist() == ["a", "b", "(other)", "(other)"]


def test_sampling_is_repeatable_and_leaves_small_frames_alone():
    frame = pd.DataFrame({"x": np.arange(100)})
    assert sample(frame, 100, seed=0) is frame
    assert sample(frame, 10, seed=0).equals(sample(frame, 10, seed=0))
    assert len(sample(frame, 10, seed=0)) == 10


@pytest.mark.parametrize(
    "summary",
    [
        DriftSummary(reference="a", current="b", reference_rows=0, current_rows=0, error="broken"),
        DriftSummary(
            reference="a",
            current="b",
            reference_rows=9,
            current_rows=9,
            columns=(ColumnDrift(column="x", check="few_values", status="unchecked"),),
        ),
    ],
)
def test_a_share_of_nothing_is_refused(summary):
    with pytest.raises(DataError, match="no drift result"):
        _ = summary.share
