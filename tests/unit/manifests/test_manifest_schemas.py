"""Every object of every overlay, against the projects' own schemas made strict."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from manifest_objects import OVERLAYS, named, objects, of_kind
from manifest_schemas import known_kinds, problems

Path = tuple[str | int, ...]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_object_of_an_overlay_breaks_its_schema(overlay: str) -> None:
    assert [problem for found in objects(overlay) for problem in problems(found)] == []


def mappings(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        yield path
        for key, part in value.items():
            yield from mappings(part, (*path, key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from mappings(part, (*path, number))


def test_an_unknown_field_is_refused_wherever_it_is_put() -> None:
    # Kafka's own settings are free by Strimzi's schema; names in them are checked against a list of our own below.
    free = {("Kafka", "spec.kafka.config"), ("KafkaTopic", "spec.config")}
    accepted = set()
    for found in objects("production"):
        for path in mappings(found):
            changed = copy.deepcopy(found)
            place: Any = changed
            for key in path:
                place = place[key]
            place["noSuchField"] = {"at": "all"}
            if not list(problems(changed)):
                accepted.add((found["kind"], ".".join(str(key) for key in path if isinstance(key, str))))
    assert accepted == free


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        ("InferenceService", "ranking", ("spec", "predictor", "minReplicas"), "two"),
        ("InferenceService", "ranking", ("spec", "predictor", "canaryTrafficPercent"), "ten"),
        ("InferenceGraph", "lists", ("spec", "nodes", "root", "routerType"), "Roundabout"),
        ("Deployment", "collector", ("spec", "replicas"), "two"),
        ("KafkaTopic", "tastemaker.events", ("spec", "partitions"), 0),
        ("PersistentVolumeClaim", "tastemaker-home", ("spec", "resources", "requests", "storage"), "lots"),
        ("NetworkPolicy", "default-deny", ("spec", "policyTypes"), "Ingress"),
        ("ScaledObject", "stream-worker", ("spec", "scaleTargetRef"), {}),
        ("PodMonitor", "predictors", ("spec", "podMetricsEndpoints", 0, "interval"), "15 seconds"),
    ],
)
def test_a_wrong_value_is_refused(kind: str, name: str, path: Path, value: object) -> None:
    changed = copy.deepcopy(named("production", kind, name))
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert list(problems(changed)) != []


def test_a_kind_without_a_schema_is_refused() -> None:
    (problem,) = problems({"apiVersion": "serving.kserve.io/v1beta2", "kind": "InferenceService", "metadata": {}})
    assert "there is no schema" in problem


def test_the_kinds_that_the_platform_is_made_of_are_there_and_have_schemas() -> None:
    used = {(found["apiVersion"], found["kind"]) for found in objects("production")}
    assert used <= known_kinds()
    assert {kind for _, kind in used} >= {
        "Deployment", "HorizontalPodAutoscaler", "InferenceGraph", "InferenceService", "Kafka", "KafkaTopic",
        "NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "ScaledObject", "ServiceMonitor", "StatefulSet",
    }  # fmt: skip


def test_settings_of_kafka_are_ones_that_kafka_has() -> None:
    # From Kafka 4.3's documentation of brokers and topics; the schema accepts any name.
    known = {
        "auto.create.topics.enable", "default.replication.factor", "min.insync.replicas", "message.max.bytes",
        "offsets.topic.replication.factor", "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr", "cleanup.policy", "retention.ms",
    }  # fmt: skip
    for overlay in OVERLAYS:
        (cluster,) = of_kind(overlay, "Kafka")
        used = set(cluster["spec"]["kafka"]["config"])
        for topic in of_kind(overlay, "KafkaTopic"):
            used |= set(topic["spec"].get("config", {}))
        assert used <= known
