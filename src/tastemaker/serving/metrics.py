"""What the recommender tells Prometheus. Labels have few values: routes are named, never raw paths."""

from collections import Counter as CountOf

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tastemaker.serving.contract import RecommendationResponse
from tastemaker.serving.records import ListRecord

__all__ = ["ServingMetrics"]

# A list takes single milliseconds; the tail of interest ends at the traffic timeout of 5 s.
_LATENCY_BUCKETS_S = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# Stages take tens of microseconds; one that takes tens of milliseconds has met something slow.
_STAGE_BUCKETS_S = (0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


class ServingMetrics:
    """The series of one data plane, in a registry of its own so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "tastemaker_request_seconds",
            "Time from the request's arrival to its answer, by endpoint.",
            ["endpoint"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.errors = Counter(
            "tastemaker_request_errors",
            "Answers with a 4xx or 5xx status.",
            ["endpoint", "code"],
            registry=self.registry,
        )
        self.lists = Counter(
            "tastemaker_lists",
            "Lists served, by surface and by the tier that answered.",
            ["surface", "tier"],
            registry=self.registry,
        )
        self.stages = Histogram(
            "tastemaker_stage_seconds",
            "Time of each stage of a list.",
            ["stage"],
            buckets=_STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self.shown = Counter(
            "tastemaker_items_shown",
            "Items of lists, by the candidate source that they owe their place to.",
            ["source"],
            registry=self.registry,
        )
        self.empty_lists = Counter("tastemaker_empty_lists", "Lists served without an item.", registry=self.registry)
        self.repeats = Counter(
            "tastemaker_repeats",
            "Lists whose ranking was at hand (hit), was not (miss), or was out of date (changed).",
            ["outcome"],
            registry=self.registry,
        )
        self.stale_lists = Counter(
            "tastemaker_stale_lists", "Lists with features that were too old to be believed.", registry=self.registry
        )
        self.waiting = Gauge("tastemaker_lists_in_flight", "Lists being made or waiting.", registry=self.registry)
        self.refresh_failures = Counter(
            "tastemaker_refresh_failures", "Failed looks for new and changed items.", registry=self.registry
        )
        self.log_dropped = Counter(
            "tastemaker_served_log_dropped",
            "Served lists that were not logged for want of a broker.",
            registry=self.registry,
        )
        self.log_waiting = Gauge(
            "tastemaker_served_log_waiting", "Served lists that wait for the broker.", registry=self.registry
        )
        self.traces_dropped = Counter(
            "tastemaker_traces_dropped", "Traced calls that no collector took.", registry=self.registry
        )
        self.refresh_age = Gauge(
            "tastemaker_refresh_age_seconds",
            "How long ago new and changed items, their features and the rules were looked for with success.",
            registry=self.registry,
        )
        self.release = Gauge(
            "tastemaker_release",
            "1 for the release that serves, 0 for former ones.",
            ["release"],
            registry=self.registry,
        )
        self.release_pending = Gauge(
            "tastemaker_release_pending", "1 while another release is wanted than serves.", registry=self.registry
        )
        self.release_swaps = Counter(
            "tastemaker_release_swaps",
            "Releases that took over from another, and attempts that failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.release_load = Gauge(
            "tastemaker_release_load_seconds",
            "How long the release that took over last was in loading.",
            registry=self.registry,
        )

        self.trial_share = Gauge(
            "tastemaker_trial_share",
            "Share of shoppers whose lists a release on trial makes; 0 when its trial is over.",
            ["release"],
            registry=self.registry,
        )
        self.trial_lists = Counter(
            "tastemaker_trial_lists",
            "Lists while a release is on trial, by release, tier, and whether nobody saw them.",
            ["release", "tier", "shadow"],
            registry=self.registry,
        )
        self.trial_seconds = Histogram(
            "tastemaker_trial_list_seconds",
            "Time in which lists were made while a release is on trial, without waiting.",
            ["release", "shadow"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.trial_empty_lists = Counter(
            "tastemaker_trial_empty_lists",
            "Lists without an item while a release is on trial.",
            ["release", "shadow"],
            registry=self.registry,
        )
        self.trial_failures = Counter(
            "tastemaker_trial_failures",
            "Lists that a release on trial failed to make; shoppers got the champion's.",
            ["release"],
            registry=self.registry,
        )
        self.shadows_dropped = Counter(
            "tastemaker_shadow_lists_dropped",
            "Lists of a release on trial that nobody would have seen, not made because of load.",
            registry=self.registry,
        )

    def count_trial_list(self, response: RecommendationResponse, record: ListRecord, *, shadow: bool) -> None:
        """Count a list by the release that made it, so that two can be compared.

        Args:
            response: the answer.
            record: has the time of its stages.
            shadow: whether nobody saw it.
        """
        release, seen = response.release, "yes" if shadow else "no"
        self.trial_lists.labels(release, response.tier, seen).inc()
        self.trial_seconds.labels(release, seen).observe(sum(record.stages_us.values()) / 1e6)
        if not response.items:
            self.trial_empty_lists.labels(release, seen).inc()

    def count_list(self, surface: str, response: RecommendationResponse, record: ListRecord) -> None:
        """Count an answer: its tier, its stages, where its items come from.

        Args:
            surface: that it is for; one of the recipes', so that there are few.
            response: the answer.
            record: has the time of its stages, and whether its ranking was at hand.
        """
        self.lists.labels(surface, response.tier).inc()
        for stage, spent in record.stages_us.items():
            self.stages.labels(stage).observe(spent / 1e6)
        for source, items in CountOf(item.source for item in response.items).items():
            self.shown.labels(source).inc(items)
        if not response.items:
            self.empty_lists.inc()
        if response.stale:
            self.stale_lists.inc()
        if record.kept:
            self.repeats.labels(record.kept).inc()

    def render(self) -> tuple[bytes, str]:
        """The exposition text and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
