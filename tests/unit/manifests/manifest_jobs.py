"""The jobs that Prometheus has by the monitors, as the Prometheus operator makes them (0.85, ``promcfg.go``).

Of a ServiceMonitor the service's name, or the service's label that ``jobLabel`` names; of a PodMonitor
``namespace/name``, or the pods' label. Relabelings of the endpoint come after that.
"""

from collections.abc import Iterator
from typing import Any

from manifest_objects import named, of_kind, pod_specs, selected

__all__ = ["jobs", "scraped"]


def jobs(overlay: str) -> set[str]:
    """Names of all jobs."""
    return {job for job, _, _ in scraped(overlay)}


def scraped(overlay: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """Of everything that Prometheus asks: job, labels of the pods, and the pods' port."""
    pods = list(pod_specs(overlay))
    for monitor in of_kind(overlay, "ServiceMonitor"):
        for service in of_kind(overlay, "Service"):
            if selected(monitor["spec"]["selector"], service["metadata"].get("labels", {})):
                first = service["metadata"].get("labels", {}).get(monitor["spec"].get("jobLabel"))
                (pod,) = [it for it in pods if selected({"matchLabels": service["spec"]["selector"]}, it[1])]
                for endpoint in monitor["spec"]["endpoints"]:
                    (port,) = [it["targetPort"] for it in service["spec"]["ports"] if it["name"] == endpoint["port"]]
                    yield _relabelled(endpoint, first or service["metadata"]["name"]), pod[1], _port(pod[2], port)
    for monitor in of_kind(overlay, "PodMonitor"):
        told = monitor["metadata"]
        for name, labels, spec in pods:
            kserve, _, model = name.partition("/")
            known = {**labels, "serving.kserve.io/inferenceservice": model} if kserve == "InferenceService" else labels
            if selected(monitor["spec"]["selector"], known):
                first = known.get(monitor["spec"].get("jobLabel"), f"{told['namespace']}/{told['name']}")
                for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                    # Knative gives the port of a container another name.
                    knative = (
                        named(overlay, kserve, model)["metadata"]
                        .get("annotations", {})
                        .get("serving.kserve.io/deploymentMode")
                        == "Knative"
                    )
                    port = spec["containers"][0]["ports"][0]["name"] if knative else endpoint["port"]
                    assert not knative or endpoint["port"] == "user-port"
                    yield _relabelled(endpoint, first), labels, _port(spec, port)


def _relabelled(endpoint: dict[str, Any], job: str) -> str:
    for rule in endpoint.get("relabelings", ()):
        if rule.get("targetLabel") == "job":
            assert set(rule) == {"targetLabel", "replacement"}, "only a fixed name is understood here"
            job = rule["replacement"]
    return job


def _port(spec: dict[str, Any], name: str) -> int:
    (port,) = [
        int(port["containerPort"])
        for container in spec["containers"]
        for port in container["ports"]
        if port["name"] == name
    ]
    return port
