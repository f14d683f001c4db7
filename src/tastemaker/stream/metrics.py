"""The collector's Prometheus metrics; label values come from fixed sets, never from a request."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tastemaker.stream.catalogue import Catalogue
from tastemaker.stream.validation import Result

__all__ = ["CollectorMetrics"]

_ACK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class CollectorMetrics:
    """Counters of one collector.

    Args:
        catalogue: its size and state are read when the metrics are.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._registry = CollectorRegistry()
        self._results = Counter(
            "tastemaker_collector_records", "Events and items by outcome", ["kind", "status"], registry=self._registry
        )
        self._responses = Counter(
            "tastemaker_collector_responses",
            "Answers by endpoint and HTTP status",
            ["endpoint", "code"],
            registry=self._registry,
        )
        self._acks = Histogram(
            "tastemaker_collector_ack_seconds",
            "Time from sending a request's records to the broker's acknowledgement",
            buckets=_ACK_BUCKETS,
            registry=self._registry,
        )
        items = Gauge("tastemaker_collector_catalogue_items", "Items that events may refer to", registry=self._registry)
        items.set_function(lambda: len(catalogue))
        broker = Gauge("tastemaker_collector_broker_up", "1 while the broker answers", registry=self._registry)
        broker.set_function(lambda: float(catalogue.broker_reachable))

    def count(self, kind: str, results: Iterable[Result]) -> None:
        """Count the results of a request of ``kind`` "event" or "item"."""
        for result in results:
            self._results.labels(kind, result.status).inc()

    def responded(self, endpoint: str, code: int) -> None:
        """Count one answer."""
        self._responses.labels(endpoint, str(code)).inc()

    def acknowledged(self, seconds: float) -> None:
        """Note how long the broker took."""
        self._acks.observe(seconds)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self._registry)
