import numpy as np
import pytest

from tastemaker.errors import DataError
from tastemaker.evaluation.drift import DriftLimits
from tastemaker.evaluation.drift.calibration import calibrate
from tastemaker.evaluation.drift.windows import draw_windows


def test_windows_are_sets_of_days_that_leave_the_others_to_be_compared_with():
    windows = draw_windows(20, 6, resamples=1000, block_days=1, seed=1)
    assert windows.inside.shape == (1000, 20)
    assert set(windows.inside.sum(axis=1)) == {6}
    # Every day is drawn in 6 of 20 windows, give or take four standard deviations of .0145.
    assert np.abs(windows.inside.mean(axis=0) - 0.3).max() < 4 * 0.0145


def test_blocks_of_days_are_drawn_whole_and_days_beyond_the_last_block_never():
    inside = draw_windows(16, 7, resamples=200, block_days=7, seed=1).inside
    assert set(map(tuple, inside.astype(int))) == {
        (1,) * 7 + (0,) * 9,
        (0,) * 7 + (1,) * 7 + (0,) * 2,
    }


def test_a_window_longer_than_half_of_the_reference_is_drawn_as_half():
    assert draw_windows(10, 28, resamples=5, block_days=1, seed=1).days == 5


def test_one_block_is_nothing_to_compare_with():
    with pytest.raises(DataError, match="fewer than two blocks"):
        draw_windows(13, 7, resamples=5, block_days=7, seed=1)


def test_the_rate_holds_for_all_checks_together():
    draw = np.random.default_rng(1)
    null = {("", f"x{i}", "wasserstein"): np.abs(draw.normal(size=4000)) + 1 for i in range(30)}
    limits = DriftLimits(false_alarm_rate=0.05)
    _, reached, checks = calibrate(null, limits)
    assert reached <= 0.05
    fresh = np.abs(draw.normal(size=(20_000, 30))) + 1
    alarms = (fresh > np.array([one.limit for one in checks])).any(axis=1).mean()
    # .05, give or take the error of a quantile of 4,000 (.0034) and of a share of 20,000 (.0015).
    assert alarms == pytest.approx(0.05, abs=0.015)


def test_figures_below_their_floor_cost_the_other_columns_nothing():
    draw = np.random.default_rng(1)
    loud = np.abs(draw.normal(size=2000)) + 1
    quiet = {("", f"q{i}", "wasserstein"): draw.uniform(0, 0.09, 2000) for i in range(50)}
    alone = calibrate({("", "loud", "wasserstein"): loud}, DriftLimits())[2][0]
    among = calibrate({("", "loud", "wasserstein"): loud, **quiet}, DriftLimits())[2][0]
    assert among.limit == alone.limit


def test_a_column_that_never_moves_has_its_floor_as_its_limit():
    checks = calibrate({("", "x", "missing_share"): np.zeros(1000)}, DriftLimits())[2]
    assert (checks[0].limit, checks[0].largest) == (DriftLimits().missing_share, 0.0)
