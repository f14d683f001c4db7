"""The evaluation report: what a gate judges, what people read, what a release keeps."""

from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table

from tastemaker.document import Document
from tastemaker.evaluation.intervals import Estimate
from tastemaker.evaluation.metrics import METRICS

__all__ = ["EvaluationReport"]


class EvaluationReport(Document, frozen=True, kw_only=True):
    """Metrics of several models on the same users.

    Attributes:
        k: the cut-off.
        users: number of test users.
        items: size of the catalogue.
        seed: of the bootstrap.
        level: of the two-sided intervals.
        resamples: of the bootstrap.
        reference: the model that is judged.
        champion: the model in production, if it took part.
        baselines: the other models.
        models: estimates by model and metric.
        differences: ``reference - model``, paired by user, by model and metric.
        coverage: share of the catalogue that a model's lists use, by model.
        period: the test window in words, such as ``2011-11-12 to 2011-12-10``; empty when unknown.
    """

    KIND = "an evaluation report"
    REMEDY = "evaluate the release again"

    k: int
    users: int
    items: int
    seed: int
    level: float
    resamples: int
    reference: str
    champion: str | None = None
    baselines: tuple[str, ...] = ()
    models: dict[str, dict[str, Estimate]] = msgspec.field(default_factory=dict)
    differences: dict[str, dict[str, Estimate]] = msgspec.field(default_factory=dict)
    coverage: dict[str, float] = msgspec.field(default_factory=dict)
    period: str = ""

    def best_baseline(self, metric: str = "ndcg") -> str | None:
        """The baseline with the highest value of a metric; None without baselines or users."""
        scored = [name for name in self.baselines if name in self.models]
        return max(scored, key=lambda name: self.models[name][metric].value, default=None)

    def rows(self) -> list[dict[str, Any]]:
        """One flat row per model, best NDCG first, for a Prefect table artifact."""
        return [
            {
                "model": name,
                **{f"{metric}@{self.k}": _shown(self.models[name][metric]) for metric in METRICS},
                "coverage": f"{self.coverage[name]:.1%}",
                f"lift of {self.reference}, ndcg@{self.k}": (
                    _shown(self.differences[name]["ndcg"], sign="+") if name in self.differences else "–"
                ),
            }
            for name in self._best_first()
        ]

    def table(self) -> Table:
        """The models for a terminal of 80 columns: NDCG and lift with their intervals; :meth:`rows` has all metrics."""
        title = f"{self.users:,} users, {self.items:,} items, top {self.k}, {self.level:.0%} intervals"
        table = Table(
            title=f"{title} · {self.period}" if self.period else title, box=SIMPLE_HEAD, show_edge=False, pad_edge=False
        )
        table.add_column("model", no_wrap=True)
        for column in ("NDCG", "recall", f"lift of {self.reference}"):
            table.add_column(column, justify="right", no_wrap=True)
        for name in self._best_first():
            found = self.models[name]
            table.add_row(
                name,
                _shown(found["ndcg"]),
                f"{found['recall'].value:.3f}",
                _shown(self.differences[name]["ndcg"], sign="+") if name in self.differences else "–",
                style="bold" if name == self.reference else None,
            )
        return table

    def _best_first(self) -> list[str]:
        return sorted(self.models, key=lambda name: -self.models[name]["ndcg"].value)


def _shown(estimate: Estimate, sign: str = "") -> str:
    return f"{estimate.value:{sign}.3f} [{estimate.low:{sign}.3f}, {estimate.high:{sign}.3f}]"
