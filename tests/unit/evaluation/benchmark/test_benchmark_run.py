"""Models in processes of their own: results, failures, and what a second run takes up."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from tastemaker.errors import DataError
from tastemaker.evaluation.benchmark import run
from tastemaker.evaluation.benchmark.child import Settings
from tastemaker.evaluation.benchmark.isolation import Failure, Outcome
from tastemaker.evaluation.benchmark.report import BenchmarkReport
from tastemaker.evaluation.benchmark.storage import save_task
from tastemaker.evaluation.benchmark.task import build

SETTINGS = Settings(seed=1, cutoffs=(1, 2), budget_s=None)


@pytest.fixture
def inputs(files):
    rng = np.random.default_rng(0)
    train = files.write("train", user_id=rng.integers(0, 20, 200), item_id=rng.integers(0, 12, 200))
    test = files.write("test", user_id=np.arange(20), item_id=rng.integers(0, 12, 20))
    return run.Inputs(train, test)


def evaluate(inputs, names, out, settings=SETTINGS, **more):
    told = []
    report = run.evaluate_models(
        build(inputs.train, inputs.test),
        inputs,
        names,
        settings,
        out,
        created_at="2024-01-01T00:00:00+00:00",
        ended=lambda name, outcome, kept: told.append((name, type(outcome), kept)),
        **more,
    )
    return report, told


def test_each_model_is_measured_and_a_second_run_takes_it_up(inputs, tmp_path):
    out = tmp_path / "report.json"
    report, told = evaluate(inputs, ["popularity"], out)
    assert told == [("popularity", Outcome, False)]
    found = report.models["popularity"]
    assert found.seed == 1
    assert found.training_minutes > 0
    assert found.scoring_seconds > 0
    assert found.peak_memory_mib > 20
    assert 0 < found.metrics["hit_rate@2"].value < 1
    assert report.reference == "popularity"
    assert report.data["slices"]["novel-only"] > 0
    assert BenchmarkReport.from_json(report.to_json()) == report

    again, told = evaluate(inputs, ["popularity"], out)
    assert told == [("popularity", Outcome, True)]
    assert again == report
    other, told = evaluate(inputs, ["popularity"], out, Settings(seed=2, cutoffs=(1, 2), budget_s=None))
    assert told == [("popularity", Outcome, False)]
    assert other.models["popularity"].seed == 2
    # Only the last run of a model is kept.
    assert len(list(run.parts_directory(out).glob("popularity-*.json"))) == 1


def test_tuned_model_reports_its_trials_and_leaves_no_log_of_them(inputs, tmp_path):
    tuned = Settings(seed=1, cutoffs=(1, 2), budget_s=30.0, hyperparameters={"item-knn": {"neighbours": 3}}, tune=True)
    report, _ = evaluate(inputs, ["item-knn", "popularity"], tmp_path / "report.json", tuned)
    told = report.models["item-knn"].report
    assert len(told["trials"]) > 1
    assert told["chosen"]["item-knn"]["neighbours"] == 3
    assert report.models["popularity"].report == {}  # it has nothing to tune
    assert not list(tmp_path.rglob("*.trials"))


def test_trials_of_a_run_that_was_killed_are_kept_for_the_same_inputs_alone(inputs, tmp_path):
    kept = run.parts_directory(tmp_path / "report.json")
    evaluate(inputs, ["popularity"], tmp_path / "report.json")
    (finished,) = kept.glob("popularity-*.json")
    finished.unlink()
    same, other = finished.with_suffix(".trials"), kept / "popularity-0123456789abcdef.trials"
    same.write_text("")
    other.write_text("")
    run._forget(kept, "popularity", but=finished.with_suffix(""))
    assert same.exists()
    assert not other.exists()
    run._forget(kept, "popularity", but=None)
    assert not same.exists()


def test_fresh_runs_a_finished_model_again_and_other_data_too(inputs, files, tmp_path):
    out = tmp_path / "report.json"
    evaluate(inputs, ["popularity"], out)
    assert evaluate(inputs, ["popularity"], out, fresh=True)[1] == [("popularity", Outcome, False)]
    files.write("test", user_id=np.arange(20), item_id=np.arange(20) % 12)
    assert evaluate(inputs, ["popularity"], out)[1] == [("popularity", Outcome, False)]


def test_a_model_that_fails_leaves_the_others_their_figures(inputs, tmp_path):
    # The data has no times, which recent popularity needs.
    report, told = evaluate(inputs, ["recent-popularity", "popularity"], tmp_path / "report.json")
    assert told == [("recent-popularity", Failure, False), ("popularity", Outcome, False)]
    assert "times" in report.failed["recent-popularity"].error
    assert report.reference == "popularity"
    assert list(report.models) == ["popularity"]


def test_a_report_without_any_model_says_why(inputs, tmp_path):
    report, _ = evaluate(inputs, ["recent-popularity"], tmp_path / "report.json")
    assert (report.models, report.reference, list(report.failed)) == ({}, None, ["recent-popularity"])


def test_a_killed_process_is_a_failure_with_its_reason(inputs, tmp_path, monkeypatch):
    # Python runs this before anything else in the child.
    (tmp_path / "sitecustomize.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    report, _ = evaluate(inputs, ["popularity"], tmp_path / "report.json")
    assert "SIGKILL; the system probably had no memory left" in report.failed["popularity"].error


def test_a_child_ends_when_its_parent_is_gone(inputs, tmp_path):
    save_task(build(inputs.train, inputs.test), tmp_path / "task")
    # A fifo in the place of the data keeps the child waiting until it is ended.
    (tmp_path / "task" / "train.npz").unlink()
    os.mkfifo(tmp_path / "task" / "train.npz")
    settings = json.dumps({"seed": 1, "cutoffs": [1], "budget_s": None})
    command = [sys.executable, "-m", "tastemaker.evaluation.benchmark.child"]
    child = subprocess.Popen(
        [*command, str(tmp_path / "task"), "popularity", str(tmp_path / "out"), settings],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    child.stdin.close()
    assert child.wait(60) == 130
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        (["svd"], SETTINGS, "no model is called svd; there are popularity"),
        (["popularity", "popularity"], SETTINGS, "each model once"),
        ([], SETTINGS, "each model once"),
        (["popularity"], Settings(1, (0, 5), None), "between 1 and"),
        (["popularity"], Settings(1, (), None), "between 1 and"),
        (["popularity"], Settings(1, (10**6,), None), "between 1 and"),
        (["popularity"], Settings(1, (5,), 0.0), "above 0"),
        (["popularity"], Settings(1, (5,), float("nan")), "above 0"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(tmp_path, names, settings, message):
    with pytest.raises(DataError, match=message):
        run.check(names, settings, tmp_path / "report.json")


def test_a_report_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    with pytest.raises(DataError, match="is a directory"):
        run.check(["popularity"], SETTINGS, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose another place"):
        run.check(["popularity"], SETTINGS, tmp_path / "file" / "report.json")


def test_what_is_no_report_is_refused():
    with pytest.raises(DataError, match="make it again"):
        BenchmarkReport.from_json(b"{}")


def test_an_interrupt_ends_the_running_child(inputs, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    started, others = [], set(psutil.Process().children())

    def stop(name):
        started.append(name)
        signal.setitimer(signal.ITIMER_REAL, 0.5)

    def interrupted(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            evaluate(inputs, ["popularity"], tmp_path / "report.json", started=stop)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert started == ["popularity"]
    assert set(psutil.Process().children()) <= others
    assert not list(run.parts_directory(tmp_path / "report.json").glob("task-*"))
