"""What the running stream workers say of themselves, from their Prometheus endpoints."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tastemaker.settings import Settings

__all__ = ["WorkerFigures", "figures_of", "worker_figures"]

_FRESHNESS = "tastemaker_worker_freshness_seconds_bucket"
_LAG = "tastemaker_worker_lag_records"
_LATE = "tastemaker_worker_late_events_total"


@dataclass(frozen=True)
class WorkerFigures:
    """Figures of all workers that answered.

    Attributes:
        workers: how many did.
        lag: records that wait for them.
        late: by view, events that were left out because they came too late.
        freshness: by view, how many events were readable within each bound, in seconds.
    """

    workers: int
    lag: int
    late: Mapping[str, int]
    freshness: Mapping[str, Mapping[float, float]]

    def freshness_s(self, view: str, share: float) -> float | None:
        """The bound in seconds within which this share of a view's events was readable; None without events."""
        counts = self.freshness.get(view, {})
        total = max(counts.values(), default=0.0)
        return (
            min((bound for bound, count in counts.items() if count >= share * total), default=None) if total else None
        )


def worker_figures(settings: Settings) -> WorkerFigures | None:
    """Ask the workers of a home; None when none answers."""
    texts = []
    for slot in range(settings.workers):
        try:
            answer = httpx.get(f"http://{settings.host}:{settings.worker_metrics_port + slot}/metrics", timeout=2)
        except httpx.HTTPError:
            continue
        if _LAG in answer.text:
            texts.append(answer.text)
    return figures_of(texts) if texts else None


def figures_of(texts: list[str]) -> WorkerFigures:
    """The figures of some workers, each as Prometheus text."""
    lag = 0
    late: Counter[str] = Counter()
    freshness: dict[str, dict[float, float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == _LAG:
                    lag += int(sample.value)
                elif sample.name == _LATE:
                    late[sample.labels["view"]] += int(sample.value)
                elif sample.name == _FRESHNESS:
                    bounds = freshness.setdefault(sample.labels["view"], {})
                    bound = float(sample.labels["le"])
                    bounds[bound] = bounds.get(bound, 0.0) + sample.value
    return WorkerFigures(len(texts), lag, late, freshness)
