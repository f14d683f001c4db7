"""The stream worker's Prometheus metrics; label values come from the declarations and the topics, never from events."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import HistogramMetricFamily, Metric

from tastemaker.events.contract import EVENT_TYPES
from tastemaker.features.plan import ViewPlan
from tastemaker.features.streaming.state import ConsumedEvent

__all__ = ["FRESHNESS_BUCKETS", "WorkerMetrics"]

FRESHNESS_BUCKETS: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_SIZES: Final = (1, 10, 100, 300, 1_000, 3_000, 10_000, 20_000, 50_000)
_CODES: Final = {event_type: code for code, event_type in enumerate(EVENT_TYPES)}


class WorkerMetrics:
    """Figures of one worker.

    Args:
        views: the declarations; freshness and lateness are told by view.
    """

    def __init__(self, views: Iterable[ViewPlan] = ()) -> None:
        self.registry = registry = CollectorRegistry()
        self._views = [view for view in views if view.kind != "batch"]
        self._freshness = _Freshness(self._views)
        registry.register(self._freshness)
        self._records = Counter(
            "tastemaker_worker_records",
            "Records by outcome: events are first occurrences, duplicates later ones of the same event_id",
            ["outcome"],
            registry=registry,
        )
        self._late = Counter(
            "tastemaker_worker_late_events",
            "Events that a view leaves out, because they came later than its allowed lateness",
            ["view"],
            registry=registry,
        )
        self._batch = Histogram(
            "tastemaker_worker_batch_events", "Events of one transaction", buckets=_SIZES, registry=registry
        )
        self._apply = Histogram(
            "tastemaker_worker_apply_seconds", "Time of one transaction", buckets=_SECONDS, registry=registry
        )
        self._flush = Histogram(
            "tastemaker_worker_flush_seconds",
            "Time of one append to the lake",
            ["table"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._rows = Counter("tastemaker_worker_lake_rows", "Rows appended to the lake", ["table"], registry=registry)
        self._lag = Gauge(
            "tastemaker_worker_lag_records",
            "Records of a partition that wait for this worker",
            ["topic", "partition"],
            registry=registry,
        )
        self._progress = Gauge(
            "tastemaker_worker_build_progress", "Share of the new views that is built", registry=registry
        )
        self._progress.set(1.0)

    @property
    def shortest_lateness_us(self) -> int:
        """The smallest lateness that a view allows; 0 when all allow any."""
        return min((view.lateness_us for view in self._views if view.lateness_us), default=0)

    @contextmanager
    def serving(self, host: str, port: int) -> Iterator[int]:
        """Answer scrapes from a thread; gives the port, which is another free one when the wanted one is taken."""
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError:
            server, thread = start_http_server(0, host, self.registry)
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def store_size(self, location: Path | str) -> None:
        """Measure an embedded store's files at each scrape; a server tells its size itself."""
        if isinstance(location, Path):
            files = [location, location.with_name(location.name + "-wal")]
            size = Gauge("tastemaker_worker_store_bytes", "Size of the embedded online store", registry=self.registry)
            size.set_function(lambda: float(sum(file.stat().st_size for file in files if file.exists())))

    def counted(self, more: Mapping[str, int]) -> None:
        """Add to the counts of records by outcome."""
        for outcome, number in more.items():
            self._records.labels(outcome).inc(number)

    def applied(self, rows: Sequence[ConsumedEvent], stamps: Sequence[int], seconds: float) -> None:
        """Note a committed batch of events.

        Args:
            rows: the events.
            stamps: the milliseconds at which the broker took each.
            seconds: how long it took.
        """
        self._batch.observe(len(rows))
        self._apply.observe(seconds)
        if rows:
            self._freshness.observe([row.event.type for row in rows], stamps, time.time() * 1_000)

    def late(self, ages: Sequence[tuple[str, int]]) -> None:
        """Note events by type and by how long after they occurred they came, in microseconds."""
        for view in self._views:
            if view.lateness_us:
                left_out = sum(kind in view.types and age_us > view.lateness_us for kind, age_us in ages)
                self._late.labels(view.name).inc(left_out)

    def flushed(self, table: str, rows: int, seconds: float) -> None:
        """Note an append to the lake."""
        self._rows.labels(table).inc(rows)
        self._flush.labels(table).observe(seconds)

    def ends(self, ends: Mapping[str, Mapping[int, int]], positions: Mapping[str, Mapping[int, int]]) -> None:
        """Note the end of each partition, beside the position of those that this worker has."""
        self._lag.clear()
        for topic, own in positions.items():
            for partition, position in own.items():
                self._lag.labels(topic, str(partition)).set(max(ends[topic][partition] - position, 0))

    def built(self, share: float) -> None:
        """Note how much of the views that are being built is done, from 0 to 1."""
        self._progress.set(share)


class _Freshness:
    """Histograms by view of the time from the broker's timestamp to the commit that makes an event readable.

    Counted by event type, with one pass over a batch; a view's histogram is the sum over its types.
    """

    def __init__(self, views: Sequence[ViewPlan]) -> None:
        self._views = views
        self._bounds = np.array(FRESHNESS_BUCKETS)
        self._counts: npt.NDArray[np.int64] = np.zeros((len(EVENT_TYPES), len(FRESHNESS_BUCKETS) + 1), np.int64)
        self._sums = np.zeros(len(EVENT_TYPES))
        self._lock = threading.Lock()

    def observe(self, types: Sequence[str], stamps_ms: Sequence[int], now_ms: float) -> None:
        codes = np.fromiter((_CODES[event_type] for event_type in types), np.int64, len(types))
        ages = np.maximum(now_ms - np.asarray(stamps_ms, np.float64), 0.0) / 1_000
        places = codes * self._counts.shape[1] + np.searchsorted(self._bounds, ages)
        counts = np.bincount(places, minlength=self._counts.size).reshape(self._counts.shape)
        sums = np.bincount(codes, ages, minlength=len(EVENT_TYPES))
        with self._lock:
            self._counts += counts
            self._sums += sums

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "tastemaker_worker_freshness_seconds",
            "From the broker's timestamp of an event to the commit that makes it readable",
            labels=["view"],
        )
        bounds = [*(str(bound) for bound in FRESHNESS_BUCKETS), "+Inf"]
        with self._lock:
            counts, sums = self._counts.copy(), self._sums.copy()
        for view in self._views:
            codes = [_CODES[event_type] for event_type in view.types]
            running = counts[codes].sum(axis=0).cumsum().tolist()
            family.add_metric([view.name], list(zip(bounds, running, strict=True)), float(sums[codes].sum()))
        yield family
