"""The metrics that exist: the expositions of recommender, collector, worker and exporter after real work."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from api_twin import KNOWN_USER, CatalogueRecommender, serving
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from stream_cases import CLOCK, PLAN, broker

from tastemaker import names
from tastemaker.observability.exporter import FlowFigures
from tastemaker.observability.telling import tell_drift, tell_gate, tell_rollback, tell_success
from tastemaker.settings import Settings
from tastemaker.stream.app import create_app
from tastemaker.stream.catalogue import Catalogue
from tastemaker.stream.worker_metrics import WorkerMetrics

__all__ = ["existing_metrics"]

# What Prometheus adds to every series, and the series that it makes of every target.
TARGET_LABELS = frozenset({"job", "instance"})
OF_PROMETHEUS = {"up": TARGET_LABELS}


def existing_metrics(directory: Path) -> dict[str, frozenset[str]]:
    """Names of series and their labels, with those of the target."""
    found: dict[str, frozenset[str]] = dict(OF_PROMETHEUS)
    for text, declared in (_recommender(), _collector(), _worker(), _exporter(directory)):
        for name, labels in [*declared.items(), *_shown(text).items()]:
            found[name] = found.get(name, TARGET_LABELS) | labels
    return found


def _shown(text: str) -> dict[str, frozenset[str]]:
    shown: dict[str, frozenset[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            shown[sample.name] = shown.get(sample.name, frozenset()) | set(sample.labels)
    return shown


def _declared(registry: CollectorRegistry) -> dict[str, frozenset[str]]:
    """Series with labels of which no value has come up yet, which an exposition only names."""
    series: dict[str, frozenset[str]] = {}
    for metric in registry._collector_to_names:
        labels = frozenset(getattr(metric, "_labelnames", ()))
        kind = getattr(metric, "_type", "")
        if kind == "counter":
            series[f"{metric._name}_total"] = labels
        elif kind == "histogram":
            series |= {f"{metric._name}_{part}": labels for part in ("count", "sum")}
            series[f"{metric._name}_bucket"] = labels | {"le"}
        elif kind == "gauge":
            series[metric._name] = labels
    return series


def _recommender() -> tuple[str, dict[str, frozenset[str]]]:
    with serving(CatalogueRecommender()) as client:
        assert client.post("/v1/recommend", json={"user": KNOWN_USER}).status_code == 200
        assert client.post("/v1/recommend", json={"k": -1}).status_code == 422
        registry = client.app.state.plane.metrics.registry
        return client.get("/metrics").text, _declared(registry)


def _collector() -> tuple[str, dict[str, frozenset[str]]]:
    memory = broker()
    app = create_app(memory.producer(), Catalogue(memory.consumer), clock=CLOCK, reject_unknown_items=False)
    with TestClient(app) as client:
        event: dict[str, Any] = {"type": "view", "user_id": "u1", "item_id": "mug"}
        assert client.post("/v1/events", json=event).status_code < 300
        return client.get("/metrics").text, {}


def _worker() -> tuple[str, dict[str, frozenset[str]]]:
    metrics = WorkerMetrics(PLAN.views)
    metrics.ends({names.TOPIC_EVENTS: {0: 10}}, {names.TOPIC_EVENTS: {0: 4}})
    metrics._freshness.observe(["view"], [1_000])
    return generate_latest(metrics.registry).decode(), _declared(metrics.registry)


def _exporter(directory: Path) -> tuple[str, dict[str, frozenset[str]]]:
    settings = Settings(home=directory)
    tell_drift(settings, "features", drifted=["a"], compared=2, alarm=True)
    tell_gate(settings, "default", release="r1", passed=False)
    tell_rollback(settings, "local", release="r2", restored="r1", reason="clicks")
    tell_success(settings, "train", due=timedelta(days=1))
    registry = CollectorRegistry()
    registry.register(FlowFigures(settings))
    return generate_latest(registry).decode(), {}
