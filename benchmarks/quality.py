"""Quality of the models on real purchases, through the command that anybody would use."""

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.goal import Goal
from benchmarks.quality_data import Tables, write_tables
from tastemaker.errors import TastemakerError
from tastemaker.events.adapters import completejourney, online_retail
from tastemaker.settings import Settings

__all__ = ["run"]

_RETAIL_CUT = datetime(2011, 11, 12, tzinfo=UTC)
# Weeks 50 to 53 of the data's own calendar begin at this moment.
_JOURNEY_CUT = datetime(2017, 12, 4, 5, tzinfo=UTC)
_BASELINES = (
    "lightgbm-ranker", "own-frequency", "ease", "graph-filter", "item-knn", "recent-popularity", "popularity",
)  # fmt: skip
_MINUTES = "10"


def run() -> list[Goal]:
    """Quality of ``tastemaker evaluate`` on Online Retail and completejourney, beside all baselines, tuned alike."""
    settings = Settings.from_env()
    goals = []
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        retail = online_retail.load(settings.repository / "data" / "online_retail.parquet")
        report = _evaluate(_tables(retail, _RETAIL_CUT, 28, directory / "retail"), directory / "retail.json")
        ours = report["models"]["tastemaker"]
        goals += [
            Goal("Online Retail: NDCG@10", ours["metrics"]["ndcg@10"]["value"], ">", 0.385),
            Goal("Online Retail: precision@10", ours["metrics"]["precision@10"]["value"], ">", 0.32),
            Goal("Online Retail, new items: NDCG@10", ours["slices"]["novel-only"]["ndcg@10"]["value"], ">", 0.125),
            _lift("Online Retail", report),
        ]
        try:
            journey = completejourney.load()
        except TastemakerError as absent:
            print(f"completejourney is left out: {absent}")
            return goals
        report = _evaluate(_tables(journey, _JOURNEY_CUT, None, directory / "journey"), directory / "journey.json")
        figure = report["models"]["tastemaker"]["metrics"]["ndcg@10"]["value"]
        goals += [Goal("completejourney: NDCG@10", figure, ">", 0.42), _lift("completejourney", report)]
    return goals


def _tables(dataset: Any, cut: datetime, days: int | None, directory: Path) -> Tables:
    directory.mkdir()
    return write_tables(dataset, cut, days, directory)


def _evaluate(tables: Tables, out: Path) -> dict[str, Any]:
    """Run the command; its table is shown as it is."""
    command = [
        sys.executable, "-m", "tastemaker.cli", "evaluate", "--include-seen", "--tune", "--k", "10,20",
        "--train", tables.train, "--test", tables.test, "--items", tables.items, "--out", out,
        "--models", ",".join(("tastemaker", *_BASELINES)),
        "--budget-minutes", os.environ.get("QUALITY_MINUTES", _MINUTES),
    ]  # fmt: skip
    subprocess.run([str(part) for part in command], check=True)
    report: dict[str, Any] = json.loads(out.read_bytes())
    return report


def _lift(data: str, report: dict[str, Any]) -> Goal:
    """The lower end of the paired interval against the best baseline."""
    best = max(_BASELINES, key=lambda name: report["models"][name]["metrics"]["ndcg@10"]["value"])
    low = report["comparisons"][best]["metrics"]["ndcg@10"]["low"]
    return Goal(f"{data}: NDCG@10 above {best}, lower end of the paired interval", low, ">", 0.0)
