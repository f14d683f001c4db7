import re
from html.parser import HTMLParser

import msgspec
import pytest
from rich.console import Console

from tastemaker.evaluation.benchmark.charts import Point, Row, curve_chart, interval_chart, scatter_chart
from tastemaker.evaluation.benchmark.details import details
from tastemaker.evaluation.benchmark.page import report_page
from tastemaker.evaluation.benchmark.report import BenchmarkReport, Comparison, ModelFailure, ModelResult
from tastemaker.evaluation.benchmark.table import duration, fact_lines, report_table, with_interval
from tastemaker.evaluation.intervals import Estimate

FACTS = {
    "train_rows": 1200,
    "train_users": 30,
    "items": 40,
    "test_users": 20,
    "relevant_per_user": 1.5,
    "dropped_test_rows_of_unknown_items": 3,
    "test_users_without_known_item": 0,
    "dropped_test_rows_repeated": 0,
    "dropped_history_rows_of_unknown_items": 0,
    "test_users_without_history": 0,
    "protocol": "random",
    "exclude_seen": True,
    "exclude_seen_chosen": "by the data",
    "repeated_train_rows": 0.0,
    "relevant_seen_before": 0.0,
    "slices": {"novel-only": 20, "cold-user": 4},
}
NAMES = (
    "ndcg",
    "recall",
    "precision",
    "hit_rate",
    "mrr",
    "map",
    "coverage",
    "gini",
    "novelty",
    "diversity",
    "popularity",
)


def estimates(value):
    return {f"{name}@10": Estimate(value, value - 0.01, value + 0.01) for name in NAMES}


def model(value, **report):
    return ModelResult(
        metrics=estimates(value),
        slices={"novel-only": estimates(value)},
        training_minutes=0.5,
        scoring_seconds=100.0,
        peak_memory_mib=512.0,
        seed=1,
        report=report,
    )


def made(low=0.01, high=0.03, **more):
    gap = {"ndcg@10": Estimate(0.02, low, high)}
    return BenchmarkReport(
        **{
            "version": "1",
            "created_at": "2024-01-01T00:00:00+00:00",
            "inputs": {"train": "a<b>.parquet"},
            "cutoffs": (10,),
            "seed": 1,
            "level": 0.95,
            "resamples": 100,
            "budget_minutes": 30.0,
            "data": FACTS,
            "models": {"blend": model(0.32, chosen={"depth": 2}), "popularity": model(0.3)},
            "reference": "blend",
            "comparisons": {"popularity": Comparison(gap)},
        }
        | more
    )


class Balance(HTMLParser):
    """Fails on a tag that is closed but was not the one opened last."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "report",
    [
        made(),
        made(models={}, comparisons={}, reference=None, failed={"x": ModelFailure("<broken>", "x.log")}),
        made(models={"one": model(0.0)}, comparisons={}, reference="one"),
    ],
    ids=["two models", "none", "one without hits"],
)
def test_the_page_is_sound_escapes_what_it_is_told_and_loads_nothing(report):
    page = report_page(report)
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert "a<b>" not in page
    assert "<broken>" not in page
    assert not re.search(r"(src|href)=|@import|url\(", page)
    assert not re.search(
        r"nan|inf[^o]", re.sub(r"<style>.*</style>", "", page, flags=re.S).lower().replace("confin", "")
    )


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.03, "blend is better than every other model; the best of them is popularity"),
        (-0.01, 0.03, "does not tell blend from popularity"),
        (-0.03, -0.01, "popularity is better than blend"),
    ],
)
def test_the_verdict_claims_no_more_than_the_interval(low, high, words):
    assert words in report_page(made(low, high))


def test_the_page_has_every_figure_with_its_interval():
    page = report_page(made())
    assert "0.3200" in page
    assert 'title="0.31000 to 0.33000"' in page
    assert "512 MiB" in page
    assert "depth" in page


def text_of(renderable, width):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(renderable)
    return console.export_text()


def test_the_table_fits_80_columns_and_lists_the_best_first():
    text = text_of(report_table(made(), 10, 80), 80)
    assert "…" not in text
    assert text.index("blend") < text.index("popularity   .3000")
    assert "+.0200 [+.0100, +.0300]" in text


def test_a_wide_terminal_gets_more_metrics():
    assert "diversity" in text_of(report_table(made(), 10, 200), 200)


def test_a_value_above_ten_keeps_its_digits():
    assert with_interval(Estimate(10.25, 0.5, 20.0)) == "10.2500 [.5000, 20.0000]"
    assert with_interval(Estimate(-0.5, -10.25, 0.0), "+") == "-.5000 [-10.2500, +.0000]"


def test_facts_name_only_what_was_dropped():
    lines = list(fact_lines(FACTS))
    assert "3 test rows dropped: train has no such item" in lines
    assert not any("without any history" in line for line in lines)


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (89, "89.0 s"), (90, "1.5 min")])
def test_durations_are_in_the_unit_that_fits(seconds, text):
    assert duration(seconds) == text


def test_details_show_any_shape():
    shown = details(
        {
            "curve": [0.1, 0.2, 0.3],
            "trials": [{"k": 10, "ndcg": 0.1}, {"k": 20, "other": {"deep": [1, None]}}],
            "trade": [{"coverage": 0.5, "ndcg": 0.3}, {"coverage": 0.6, "ndcg": 0.29}],
            "none": None,
            "<tag>": "<value>",
            "empty": [],
            "flags": [True, False, True],
        }
    )
    assert shown.count("<svg") == 2
    assert "deep 1, –" in shown
    assert "&lt;value&gt;" in shown


def test_charts_survive_equal_zero_and_negative_values():
    rows = [Row("a", 0.0, 0.0, 0.0), Row("b", -0.5, -1.0, 0.0)]
    for chart in (
        interval_chart(rows[:1], title="t"),
        interval_chart(rows, title="t", from_zero=False),
        scatter_chart([Point("a", 0.0, 0.0), Point("b", 0.0, 0.0)], title="t", x_name="x", y_name="y"),
        curve_chart([Point("", 1.0, 2.0), Point("", 1.0, 2.0)], title="t", x_name="x", y_name="y"),
    ):
        assert "nan" not in chart


def test_a_report_keeps_its_form():
    raw = msgspec.json.decode(made().to_json())
    assert raw["models"]["blend"]["metrics"]["ndcg@10"] == {"value": 0.32, "low": 0.31, "high": 0.33}
    assert raw["models"]["blend"]["slices"]["novel-only"]["recall@10"]["value"] == 0.32
    assert {"training_minutes", "peak_memory_mib", "seed"} <= set(raw["models"]["blend"])
