from tastemaker.models.two_tower.parameters import TowerParameters
from tastemaker.models.two_tower.progress import Curve
from tastemaker.release.tower_report import TowerReport, TowerTrial


def test_curve_and_trials_are_told_and_survive_json():
    curve = Curve(steps=[0, 50], loss=[float("nan"), 7.0], ndcg=[0.1, 0.25], best=0.25, stopped="epochs")
    trial = TowerTrial(values={"encoder": "gru"}, ndcg=None, seconds=3.0, error="left out: too little memory")
    report = TowerReport.of(TowerParameters(), curve, warm=True, trials=(trial,))
    assert TowerReport.model_validate_json(report.model_dump_json()) == report
    assert report.loss == (None, 7.0)
    assert report.metrics == {"two_tower_ndcg": 0.25}
    settings, judged, tried = report.lines()
    assert "encoder transformer" in settings
    assert "started from an earlier release" in settings
    assert judged == "validation NDCG: 0.1000 after 0 steps, 0.2500 after 50 steps; ended by epochs"
    assert tried == "tried encoder gru: left out: too little memory, 3 s"


def test_curve_without_validation_users_tells_no_ndcg():
    curve = Curve(steps=[78], loss=[6.9], ndcg=[float("nan")], best=78.0, stopped="epochs")
    report = TowerReport.of(TowerParameters(), curve, warm=True)
    assert report.ndcg == (None,)
    assert not report.metrics
    assert report.lines()[1] == "validation NDCG: too few users to hold out; ended by epochs"
