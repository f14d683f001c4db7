import numpy as np
import pandas as pd
import pytest

from tastemaker.errors import DataError
from tastemaker.evaluation.drift import DriftLimits, measure_drift

LIMITS = DriftLimits()
ROWS = 3000


def _frame(seed, rows=ROWS, days=28):
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "day": draw.integers(0, days, rows),
            "number": draw.normal(size=rows),
            "count": draw.poisson(3, rows).astype(float),
            "device": draw.choice(["web", "app", "kiosk"], rows, p=[0.5, 0.4, 0.1]),
        }
    )


def _fired(reference, current, **options):
    found = measure_drift(reference, current, **options).columns
    return {(one.label, one.check) for one in found if one.status == "drifted"}


def _one(reference, current, column, check):
    found = measure_drift(reference, current).columns
    return next(one for one in found if (one.column, one.check) == (column, check))


def test_two_windows_of_one_distribution_do_not_drift():
    assert _fired(_frame(1), _frame(2, 1000, 7)) == set()


def test_a_shift_is_found_and_measured_in_standard_deviations():
    current = _frame(2)
    current["number"] += 0.25
    found = _one(_frame(1), current, "number", "wasserstein")
    assert (found.status, found.value) == ("drifted", pytest.approx(0.25, abs=0.08))


def test_a_column_that_differs_from_day_to_day_gets_a_wider_limit():
    reference = _frame(1)
    limit = _one(reference, _frame(2), "number", "wasserstein").limit
    by_day = np.random.default_rng(5).normal(size=28)
    reference["number"] += by_day[reference["day"]]
    assert _one(reference, _frame(2), "number", "wasserstein").limit > 1.5 * limit


def test_swapped_categories_are_found():
    current = _frame(2)
    current["device"] = current["device"].map({"web": "app", "app": "web", "kiosk": "kiosk"})
    assert ("device", "jensen_shannon") in _fired(_frame(1), current)


def test_new_missing_values_and_categories_are_checks_of_their_own():
    current = _frame(2)
    current.loc[current.index % 20 == 0, ["number", "device"]] = np.nan  # 5 %
    current.loc[current.index % 20 == 1, "device"] = "watch"
    fired = _fired(_frame(1), current)
    assert {("number", "missing_share"), ("device", "missing_share"), ("device", "new_categories")} <= fired


def test_frozen_empty_and_absent_columns_are_found():
    current = _frame(2).drop(columns="device")
    current["count"], current["number"] = 3.0, np.nan
    fired = _fired(_frame(1), current)
    assert {("count", "constant"), ("number", "empty"), ("device", "absent")} <= fired


def test_a_column_that_is_often_constant_by_chance_may_be_constant():
    # One row in 5,000 differs, so most windows of 7 days have a single value.
    reference, current = _frame(1), _frame(2, 750, 7)
    reference["rare"] = (reference.index % 2000 == 0).astype(float)
    current["rare"] = 0.0
    found = _one(reference, current, "rare", "constant")
    assert (found.status, found.reason) == ("stable", "2 values before, 1 now")


@pytest.mark.parametrize(("now", "status"), [(1.0, "stable"), (2.0, "drifted")])
def test_a_constant_column_is_judged_by_its_value(now, status):
    assert _one(_frame(1).assign(same=1.0), _frame(2).assign(same=now), "same", "constant").status == status


def test_a_constant_column_that_begins_to_vary_has_drifted():
    reference, current = _frame(1).assign(fresh=0.0), _frame(2)
    current["fresh"] = (current.index % 2).astype(float)
    assert ("fresh", "varies") in _fired(reference, current)


def test_a_column_without_any_value_is_not_checked():
    empty = np.nan
    assert _one(_frame(1).assign(none=empty), _frame(2).assign(none=empty), "none", "empty").status == "unchecked"


def test_a_drift_in_one_segment_alone_is_found_there():
    reference, current = _frame(1, 8000), _frame(2, 8000)
    kiosk = current["device"] == "kiosk"
    current.loc[kiosk, "number"] += 1.0  # .1 of all rows, so about .1 in all
    fired = _fired(reference, current, segments=["device"])
    assert ("number (device=kiosk)", "wasserstein") in fired
    assert not any("device=web" in label for label, _ in fired)


def test_a_smaller_window_than_the_reference_s_gets_wider_limits():
    large, small = (_one(_frame(1, 20_000), _frame(2, rows, 7), "number", "wasserstein") for rows in (5000, 250))
    assert small.limit > large.limit


def test_few_rows_and_few_days_are_refused():
    with pytest.raises(DataError, match="the current frame has 10 rows"):
        measure_drift(_frame(1), _frame(2, 10))
    with pytest.raises(DataError, match="rows of 7 days; at least 14"):
        measure_drift(_frame(1, days=7), _frame(2))
    with pytest.raises(DataError, match="no column 'day'"):
        measure_drift(_frame(1), _frame(2).drop(columns="day"))


def test_the_order_of_rows_does_not_matter():
    reference, current = _frame(1), _frame(2)
    shuffled = reference.sample(frac=1, random_state=3)
    found = [measure_drift(frame, current).columns for frame in (reference, shuffled)]
    for one, other in zip(*found, strict=True):
        assert (one.label, one.check, one.status) == (other.label, other.check, other.status)
        assert (one.value, one.limit) == pytest.approx((other.value, other.limit), abs=1e-6)  # sums of other orders


def test_three_orders_of_80_000_pieces_do_not_hide_a_shift():
    reference, current = _frame(1), _frame(2)
    reference.loc[reference.index[:3], "number"] = 80_000.0  # .1 % of the rows
    current["number"] += 0.3
    assert ("number", "wasserstein") in _fired(reference, current)


def test_the_calibration_says_how_the_limits_came_about():
    made = measure_drift(_frame(1), _frame(2, 1000, 7), seed=4).calibration
    assert (made.reference_days, made.window_days, made.resamples, made.seed) == (28, 7, 1000, 4)
    assert made.reached <= made.false_alarm_rate == 0.05
    assert {one.check for one in made.checks} == {
        "wasserstein",
        "jensen_shannon",
        "missing_share",
        "new_categories",
        "beside_others",
        "ranks_beside_others",
    }
    assert all(one.limit >= one.floor for one in made.checks)
