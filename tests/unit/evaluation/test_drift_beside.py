import numpy as np
import pandas as pd
import pytest

from tastemaker.evaluation.drift import DriftLimits, collect_figures, judge_figures, measure_drift

REFERENCE_DAYS, WINDOW_DAYS = 56, 28
# Days differ by half a standard deviation, so .25 is nothing in a column alone.
TIDE = np.random.default_rng(1).normal(scale=0.5, size=REFERENCE_DAYS + WINDOW_DAYS)


def _frame(seed, tide, rows=6000):
    """``spend`` and ``visits`` rise and fall together; ``mean`` and ``last`` are missing on the same rows."""
    draw = np.random.default_rng(seed)
    day = draw.integers(0, len(tide), rows)
    level = draw.normal(size=rows) + tide[day]
    new = draw.random(rows) < 0.25 + 0.2 * np.tanh(tide[day])
    return pd.DataFrame(
        {
            "day": day,
            "visits": level,
            "spend": level + 0.3 * draw.normal(size=rows),
            "mean": np.where(new, np.nan, draw.normal(size=rows)),
            "last": np.where(new, np.nan, draw.normal(size=rows)),
            "device": draw.choice(["web", "app", "kiosk"], rows, p=[0.5, 0.4, 0.1]),
        }
    )


REFERENCE, CURRENT = _frame(1, TIDE[:REFERENCE_DAYS]), _frame(2, TIDE[REFERENCE_DAYS:])


def _one(current, column, check):
    found = measure_drift(REFERENCE, current).columns
    return next(one for one in found if (one.column, one.check) == (column, check))


def test_days_that_move_all_columns_together_are_no_drift():
    assert not [one.label for one in measure_drift(REFERENCE, CURRENT).columns if one.status == "drifted"]


def test_a_column_that_moves_by_itself_is_found_below_what_days_differ_by():
    shifted = CURRENT.assign(spend=CURRENT["spend"] + 0.25 * CURRENT["spend"].std())
    alone, beside = (_one(shifted, "spend", check) for check in ("wasserstein", "beside_others"))
    assert (alone.status, beside.status) == ("stable", "drifted")
    # In standard deviations of the reference, whose days differ about as much as those of the window.
    assert beside.value == pytest.approx(0.25, abs=0.04)
    assert "other columns" in beside.reason


def test_values_lost_in_one_of_two_columns_that_are_missing_together_are_found():
    lost = np.flatnonzero(CURRENT["mean"].notna())[:300]  # 5 % of 6,000
    current = CURRENT.assign(mean=CURRENT["mean"].mask(np.isin(np.arange(len(CURRENT)), lost)))
    beside = _one(current, "mean", "missing_beside_others")
    # Its twin foretells nearly all that was missing before, and none of the 5 %.
    assert (beside.status, beside.value) == ("drifted", pytest.approx(0.05, abs=0.01))
    assert _one(CURRENT, "mean", "missing_beside_others").value < 0.005


def test_a_shift_is_as_large_as_it_is_where_most_values_are_missing():
    draw = np.random.default_rng(3)
    frames = [
        frame.assign(rare=np.where(draw.random(6000) < 0.6, np.nan, draw.normal(size=6000)))
        for frame in (REFERENCE, CURRENT)
    ]
    frames[1]["rare"] += 0.5
    found = measure_drift(*frames).columns
    value = next(one.value for one in found if (one.column, one.check) == ("rare", "beside_others"))
    assert value == pytest.approx(0.5, abs=0.08)  # 2,400 values each: .03 to two standard errors


def test_columns_measured_apart_and_put_together_are_as_if_measured_together():
    changed = CURRENT.assign(spend=CURRENT["spend"] + 0.25)
    both = [frame[["day", "spend"]] for frame in (REFERENCE, changed)]
    put = collect_figures(REFERENCE, CURRENT, seed=3).with_columns(collect_figures(*both, seed=3))
    assert sorted(judge_figures(put).columns, key=str) == sorted(
        measure_drift(REFERENCE, changed, seed=3).columns, key=str
    )


def test_figures_of_other_windows_are_not_put_together():
    ours = collect_figures(REFERENCE, CURRENT, seed=3)
    for other in (
        collect_figures(REFERENCE, CURRENT, seed=4),
        collect_figures(REFERENCE, CURRENT.head(3000), seed=3),
        collect_figures(REFERENCE, CURRENT, seed=3, limits=DriftLimits(bins=64)),
    ):
        with pytest.raises(ValueError, match="other days, limits or seeds"):
            ours.with_columns(other)


def test_too_few_rows_for_so_many_columns_are_compared_column_by_column():
    draw = np.random.default_rng(5)
    # 500 rows for 30 columns: fewer than 20 rows for each.
    wide = [pd.DataFrame(draw.normal(size=(250, 30))).rename(columns=str).assign(day=np.arange(250) % 20) for _ in "ab"]
    assert {one.check for one in measure_drift(*wide).columns} == {"missing_share", "wasserstein"}


def test_a_constant_and_a_doubled_column_break_nothing():
    frames = [frame.assign(same=1.0, twice=frame["visits"]) for frame in (REFERENCE, CURRENT)]
    found = {(one.column, one.check): one for one in measure_drift(*frames).columns}
    assert ("same", "beside_others") not in found
    assert found["twice", "beside_others"].value < 0.01


def test_rows_without_a_day_are_refused():
    from tastemaker.errors import DataError

    with pytest.raises(DataError, match="2 rows of the current frame have no day"):
        measure_drift(REFERENCE, CURRENT.assign(day=CURRENT["day"].where(CURRENT.index > 1)))
