from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan
from tastemaker.release.parameters import TrainingParameters
from tastemaker.release.ranker_parameters import ReleaseRankerParameters
from tastemaker.settings import Settings
from tastemaker.training.pipeline import TrainingRun, build_ranking_set, train_release

CUT = datetime(2026, 3, 1, tzinfo=UTC)


def run(tmp_path, **ranker):
    parameters = TrainingParameters(ranker=ReleaseRankerParameters(**ranker))
    plan = FeaturePlan(views=())
    return TrainingRun(Settings(home=tmp_path), plan, CUT, tmp_path / "release", seed=1, parameters=parameters)


def test_label_windows_end_at_the_cut(tmp_path):
    one = run(tmp_path)
    last = one.moments[-1] + timedelta(days=one.parameters.ranker.label_days)
    assert last <= CUT
    assert one.moments == sorted(one.moments)


def test_label_window_that_reaches_past_the_cut_is_refused(tmp_path):
    with pytest.raises(DataError, match="past the cut"):
        build_ranking_set(run(tmp_path, cuts_days=(42, 14), label_days=28))


def test_cut_without_timezone_is_refused(tmp_path):
    naive = CUT.replace(tzinfo=None)
    with pytest.raises(DataError, match="timezone"):
        train_release(Settings(home=tmp_path), FeaturePlan(views=()), naive, Path(tmp_path / "out"), seed=1)
