"""``tastemaker evaluate``: what it refuses at once, what it prints, how it ends."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tastemaker.cli.app import app
from tastemaker.errors import DataError


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    columns = {"user_id": rng.integers(0, 30, 300), "item_id": rng.integers(0, 40, 300)}
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    pq.write_table(
        pa.table({"user_id": np.arange(31), "item_id": [*rng.integers(0, 40, 30), 99]}), tmp_path / "test.parquet"
    )
    return tmp_path


def evaluate(tables: Path, *words: str, train: str = "train.parquet", models: str = "popularity"):
    files = ["--train", str(tables / train), "--test", str(tables / "test.parquet")]
    files += ["--out", str(tables / "report.json")]
    return CliRunner().invoke(app, ["evaluate", *files, "--models", models, *words], catch_exceptions=False)


def test_it_writes_the_report_and_the_page_and_says_what_it_chose(tables):
    result = evaluate(tables, "--k", "5,3", "--html", str(tables / "page.html"), "--include-seen")
    assert result.exit_code == 0
    assert "1 test rows dropped: train has no such item" in result.output
    assert "may be listed again, by the caller" in result.output
    assert "Top 3" in result.output
    report = json.loads((tables / "report.json").read_text())
    assert report["cutoffs"] == [3, 5]
    assert set(report["models"]["popularity"]["metrics"]["recall@3"]) == {"value", "low", "high"}
    assert report["data"]["exclude_seen"] is False
    assert "popularity" in (tables / "page.html").read_text()

    again = evaluate(tables, "--k", "5,3", "--include-seen")
    assert "an earlier run" in again.output


def test_a_failed_model_is_named_and_the_others_are_in_the_report(tables):
    with pytest.raises(DataError, match="no figures for recent-popularity"):
        evaluate(tables, models="popularity,recent-popularity")
    report = json.loads((tables / "report.json").read_text())
    assert list(report["models"]) == ["popularity"]
    assert "times" in report["failed"]["recent-popularity"]["error"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--k", "ten"], "whole numbers"),
        (["--k", "0"], "between 1 and"),
        (["--k", ""], "whole numbers"),
        (["--budget-minutes", "0"], "above 0"),
        (["--items", "nowhere.parquet"], "no such file"),
        (["--history", "nowhere.parquet"], "no such file"),
        (["--html", "no/such/directory/page.html"], "directory that exists"),
    ],
)
def test_a_wrong_option_is_refused_before_any_model_runs(tables, words, message):
    with pytest.raises(DataError, match=message):
        evaluate(tables, *words)
    assert not (tables / "report.json").exists()


def test_unknown_models_and_missing_tables_are_refused(tables):
    with pytest.raises(DataError, match="no model is called nothing"):
        evaluate(tables, models="nothing")
    with pytest.raises(DataError, match="no such file; check the path"):
        evaluate(tables, train="none.parquet")


def test_set_gives_hyperparameters_to_one_model(tables):
    result = evaluate(tables, "--set", "item-knn.neighbours=3", "--k", "5", models="item-knn")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("neighbours=3", "is not MODEL.NAME=VALUE"),
        ("ease.regularisation=3", "ease is not among --models"),
        ("item-knn.colour=3", "does not take"),
    ],
)
def test_set_refuses_what_no_model_has(tables, given, said):
    with pytest.raises(DataError, match=said):
        evaluate(tables, "--set", given, models="item-knn")
