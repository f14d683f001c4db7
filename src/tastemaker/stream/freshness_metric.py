"""How fresh each view is: the time from the broker's timestamp of an event to the commit that makes it readable."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from tastemaker.events.contract import EVENT_TYPES
from tastemaker.features.plan import ViewPlan

__all__ = ["FRESHNESS_BUCKETS", "Freshness"]

FRESHNESS_BUCKETS: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_CODES: Final = {event_type: code for code, event_type in enumerate(EVENT_TYPES)}


class Freshness:
    """A histogram of that time by view, and the age of the newest event that is readable; for a registry.

    Counted by event type, with one pass over a batch; a view's histogram is the sum over its types.

    Args:
        views: those over events.
        now_s: the machine's clock in seconds since the epoch, which the broker's timestamps are of too.
    """

    def __init__(self, views: Sequence[ViewPlan], now_s: Callable[[], float] = time.time) -> None:
        self._views = views
        self._now_s = now_s
        self._bounds = np.array(FRESHNESS_BUCKETS)
        self._counts: npt.NDArray[np.int64] = np.zeros((len(EVENT_TYPES), len(FRESHNESS_BUCKETS) + 1), np.int64)
        self._sums = np.zeros(len(EVENT_TYPES))
        self._newest_ms: npt.NDArray[np.int64] = np.zeros(len(EVENT_TYPES), np.int64)
        self._lock = threading.Lock()

    def observe(self, types: Sequence[str], stamps_ms: Sequence[int]) -> None:
        """Note events that have just become readable.

        Args:
            types: of each event.
            stamps_ms: when the broker took each, in milliseconds since the epoch.
        """
        codes = np.fromiter((_CODES[event_type] for event_type in types), np.int64, len(types))
        stamps = np.asarray(stamps_ms, np.int64)
        ages = np.maximum(self._now_s() * 1_000 - stamps, 0.0) / 1_000
        places = codes * self._counts.shape[1] + np.searchsorted(self._bounds, ages)
        counts = np.bincount(places, minlength=self._counts.size).reshape(self._counts.shape)
        sums = np.bincount(codes, ages, minlength=len(EVENT_TYPES))
        with self._lock:
            self._counts += counts
            self._sums += sums
            np.maximum.at(self._newest_ms, codes, stamps)

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for at each scrape."""
        histogram = HistogramMetricFamily(
            "tastemaker_worker_freshness_seconds",
            "From the broker's timestamp of an event to the commit that makes it readable",
            labels=["view"],
        )
        newest = GaugeMetricFamily(
            "tastemaker_worker_newest_event_age_seconds",
            "Since the broker took the newest event that is in a view; of views that saw one since this worker began",
            labels=["view"],
        )
        bounds = [*(str(bound) for bound in FRESHNESS_BUCKETS), "+Inf"]
        with self._lock:
            counts, sums, newest_ms = self._counts.copy(), self._sums.copy(), self._newest_ms.copy()
        for view in self._views:
            codes = [_CODES[event_type] for event_type in view.types]
            running = counts[codes].sum(axis=0).cumsum().tolist()
            histogram.add_metric([view.name], list(zip(bounds, running, strict=True)), float(sums[codes].sum()))
            if last_ms := int(newest_ms[codes].max(initial=0)):
                newest.add_metric([view.name], max(self._now_s() - last_ms / 1_000, 0.0))
        yield histogram
        yield newest
