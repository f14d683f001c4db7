"""Quality of the served pipeline on Online Retail: train before 2011-11-12, judge on the 28 days after it."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks.goal import Goal
from tastemaker.events.adapters import online_retail
from tastemaker.promotion.assess import assess
from tastemaker.settings import Settings
from tastemaker.stack.workspace import import_history, prepare
from tastemaker.training.pipeline import train_release

__all__ = ["CUT", "OWN_FREQUENCY", "run"]

CUT = datetime(2011, 11, 12, tzinfo=UTC)
# NDCG@10 of own purchase frequency in this protocol, as published beside the data.
OWN_FREQUENCY = 0.341


def run() -> list[Goal]:
    """NDCG@10 of the served pipeline on Online Retail's last 28 days, above own frequency."""
    console = Console()
    with tempfile.TemporaryDirectory() as scratch:
        settings = Settings.from_env(home=Path(scratch) / "home")
        import_history(settings, online_retail.load(settings.repository / "data" / "online_retail.parquet"))
        plan = prepare(settings)
        release = Path(scratch) / "release"
        trained = train_release(settings, plan, CUT, release, seed=1, progress=console.print)
        report = assess(settings, release, CUT, days=28)
    console.print(report.table())
    console.print(f"training, by step in seconds: {trained.card.seconds}")
    return [Goal("NDCG@10 of the served pipeline", report.models[report.reference]["ndcg"].value, ">", OWN_FREQUENCY)]
