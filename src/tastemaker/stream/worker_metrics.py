"""The stream worker's Prometheus metrics; label values come from the declarations and the topics, never from events."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from tastemaker.features.plan import ViewPlan
from tastemaker.features.stores.opening import stored_bytes
from tastemaker.features.streaming.state import ConsumedEvent
from tastemaker.stream.freshness_metric import Freshness

__all__ = ["WorkerMetrics"]

_SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_SIZES: Final = (1, 10, 100, 300, 1_000, 3_000, 10_000, 20_000, 50_000)


class WorkerMetrics:
    """Figures of one worker.

    Args:
        views: the declarations; freshness and lateness are told by view.
    """

    def __init__(self, views: Iterable[ViewPlan] = ()) -> None:
        self.registry = registry = CollectorRegistry()
        self._views = [view for view in views if view.kind != "batch"]
        self._freshness = Freshness(self._views)
        registry.register(self._freshness)
        self._records = Counter(
            "tastemaker_worker_records",
            "Records by outcome: events are first occurrences, duplicates later ones of the same event_id",
            ["outcome"],
            registry=registry,
        )
        # There from the start: of a series that begins with 1, Prometheus sees no increase.
        self._records.labels("dead_letters")
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
            "tastemaker_worker_build_progress",
            "Share that is done of building the online store, or new views of it, from the lake",
            registry=registry,
        )
        self._progress.set(1.0)
        self._view_rows = Gauge(
            "tastemaker_worker_view_rows",
            "Rows of a view in the online store, counted now and then by the first worker",
            ["view"],
            registry=registry,
        )

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
            size = Gauge("tastemaker_worker_store_bytes", "Size of the embedded online store", registry=self.registry)
            size.set_function(lambda: float(stored_bytes(location) or 0))

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
            self._freshness.observe([row.event.type for row in rows], stamps)

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

    def view_rows(self, view: str, rows: int) -> None:
        """Note how many rows a view has."""
        self._view_rows.labels(view).set(rows)

    def described(self) -> list[tuple[str, str]]:
        """Name, as Prometheus stores it, and meaning of each metric."""
        return [
            (metric.name + "_total" * (metric.type == "counter"), metric.documentation)
            for metric in self.registry.collect()
        ]

    def built(self, share: float) -> None:
        """Note how much of what is being built is done, from 0 to 1."""
        self._progress.set(share)
