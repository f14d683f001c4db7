"""What flows tell: figures for the rules, and alerts, of which none raises."""

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from tastemaker.observability import telling
from tastemaker.observability.exporter import FlowFigures
from tastemaker.observability.figures import figures_dir, note
from tastemaker.observability.flow_alerts import drift_alert
from tastemaker.observability.telling import tell_drift, tell_gate, tell_rollback, tell_success
from tastemaker.settings import Settings


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def told(monkeypatch) -> list[tuple[str, object]]:
    """What went to Alertmanager."""
    found: list[tuple[str, object]] = []
    for name, status in (("post_alert", "firing"), ("resolve_alert", "resolved")):

        def tell(_, alert, status=status, **more):
            found.append((status, alert))
            return "sent"

        monkeypatch.setattr(telling, name, tell)
    return found


def value(settings: Settings, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(FlowFigures(settings))
    return registry.get_sample_value(name, labels)


def test_drift_fires_and_is_resolved_by_the_next_comparison(settings, told):
    columns = [f"c{n}" for n in range(10)]
    tell_drift(settings, "features", drifted=columns, compared=40, alarm=True, report="http://r/drift.html")
    assert value(settings, "tastemaker_drifted", kind="features") == 1
    assert value(settings, "tastemaker_drift_share", kind="features") == 0.25
    tell_drift(settings, "features", drifted=["c1"], compared=40, alarm=False)
    assert value(settings, "tastemaker_drifted", kind="features") == 0
    (_, fired), (status, resolved) = told
    assert fired.summary == "features: 10 of 40 columns drifted: c0, c1, c2, c3, c4, c5, c6, c7 and 2 more"
    assert fired.annotations == {"details": "report: http://r/drift.html"}
    assert status == "resolved"
    assert fired.identity == resolved.identity


def test_words_are_left_for_the_rule_and_new_ones_take_their_place(settings, told):
    for release in ("r2", "r3"):
        tell_gate(settings, "default", release=release, passed=False, reasons=["x" * 1_000])
    metric = next(m for m in FlowFigures(settings).collect() if m.name == "tastemaker_told_timestamp_seconds")
    (sample,) = metric.samples
    assert sample.labels["alert"] == "GateBlocked"
    assert sample.labels["of"] == "default"
    assert sample.labels["details"] == "candidate: r3"
    assert len(sample.labels["summary"]) == 600


def test_comparison_that_broke_is_an_alarm(settings, told):
    tell_drift(settings, "target", drifted=[], compared=0, alarm=False, error="the frame has 3 rows")
    assert value(settings, "tastemaker_drifted", kind="target") == 1
    assert value(settings, "tastemaker_drift_share", kind="target") == 0
    assert told[0][0] == "firing"
    assert told[0][1].summary == "target: the frame has 3 rows"


def test_gate_is_blocked_until_a_candidate_passes_and_candidates_are_no_labels(settings, told):
    tell_gate(settings, "default", release="r2", passed=False, reasons=["coverage .01 < .05", "drift"])
    assert value(settings, "tastemaker_gate_blocked", policy="default") == 1
    tell_gate(settings, "default", release="r3", passed=False)
    tell_gate(settings, "default", release="r4", passed=True)
    assert value(settings, "tastemaker_gate_blocked", policy="default") == 0
    assert [status for status, _ in told] == ["firing", "firing", "resolved"]
    assert len({alert.key for _, alert in told}) == 1
    assert told[0][1].summary == "r2 may not go live by the policy default: coverage .01 < .05; drift"


def test_rollback_names_both_releases(settings, told):
    tell_rollback(settings, "local", release="r2", restored="r1", reason="clicks fell by 10 %")
    assert value(settings, "tastemaker_rollback_timestamp_seconds", target="local") > 1.7e9
    assert told[0][1].summary == "r2 was taken back on local, r1 serves again: clicks fell by 10 %"


def test_success_leaves_when_and_when_the_next_is_due(settings):
    tell_success(settings, "train", due=timedelta(hours=26), at_s=lambda: 1_800_000_000.0)
    assert value(settings, "tastemaker_flow_last_success_timestamp_seconds", flow="train") == 1_800_000_000
    assert value(settings, "tastemaker_flow_due_seconds", flow="train") == 93_600


def test_nothing_raises_on_a_home_that_cannot_be_written(settings, told, caplog):
    settings.observability_dir.write_text("a file where the directory should be")
    tell_drift(settings, "features", drifted=["a"], compared=1, alarm=True)
    tell_success(settings, "train", due=timedelta(days=1))
    assert len(told) == 1
    assert "tastemaker_drifted cannot be written" in caplog.text


@pytest.mark.parametrize(
    ("name", "labels"),
    [("tastemaker_unknown", {}), ("tastemaker_drifted", {}), ("tastemaker_drifted", {"kind": "x", "run": "1"})],
)
def test_undeclared_figure_is_refused(settings, name, labels):
    with pytest.raises(ValueError, match="no figure"):
        note(settings, name, 1.0, **labels)


def test_damaged_and_foreign_figures_are_left_out(settings):
    note(settings, "tastemaker_drifted", 1.0, kind="features")
    (figures_dir(settings) / "a.json").write_text("{")
    (figures_dir(settings) / "b.json").write_text('{"name": "tastemaker_of_tomorrow", "labels": {}, "value": 1}')
    assert value(settings, "tastemaker_drifted", kind="features") == 1
    assert value(settings, "tastemaker_of_tomorrow") is None


def test_label_values_of_any_kind_are_kept_apart(settings):
    for kind, number in (("a", 1.0), ("a\nb", 2.0), ("../x", 3.0), ('"', 4.0)):
        note(settings, "tastemaker_drifted", number, kind=kind)
    assert [value(settings, "tastemaker_drifted", kind=kind) for kind in ("a", "a\nb", "../x", '"')] == [1, 2, 3, 4]


def test_exporter_counts_what_waits(settings):
    away = settings.model_copy(update={"alertmanager_url": "http://127.0.0.1:9"})
    telling.post_alert(away, drift_alert("features"), pause=lambda _: None)
    assert value(away, "tastemaker_alerts_waiting") == 1
