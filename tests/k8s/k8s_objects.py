"""What the tests ask of the cluster, in their words."""

from pathlib import Path
from typing import Any

import yaml
from k8s_cluster import RealCluster
from k8s_programs import until

__all__ = ["NAMESPACE", "OVERLAY", "condition", "deploy", "names", "rendered"]

OVERLAY = "production"
NAMESPACE = "tastemaker"
_RENDERED = Path(__file__).resolve().parents[2] / "manifests" / "rendered"


def rendered(overlay: str) -> list[dict[str, Any]]:
    """The objects of an overlay."""
    with (_RENDERED / f"{overlay}.yaml").open(encoding="utf-8") as file:
        return [found for found in yaml.safe_load_all(file) if found]


def deploy(cluster: RealCluster, overlay: str) -> None:
    """Apply an overlay, and wait until what runs is available."""
    documents = rendered(overlay)
    cluster.apply([found for found in documents if found["kind"] == "Namespace"])
    cluster.apply([found for found in documents if found["kind"] != "Namespace"])

    def available() -> bool:
        wanted = {"collector", "stream-worker", "exporter", "prefect-server", "prefect-worker", "retrieval-predictor"}
        wanted |= {"ranking-predictor", "lists"}
        found = {
            it["metadata"]["name"]
            for it in cluster.get("deployments", "-n", NAMESPACE)["items"]
            if condition(it, "Available")
        }
        return wanted <= found

    until("everything that was deployed is available", available, 120)


def condition(found: dict[str, Any], kind: str) -> bool:
    """Whether a condition of an object holds."""
    return any(it["type"] == kind and it["status"] == "True" for it in found.get("status", {}).get("conditions", ()))


def names(cluster: RealCluster, kind: str, *options: str) -> set[str]:
    """Names of all objects of a kind."""
    return {it["metadata"]["name"] for it in cluster.get(kind, "-n", NAMESPACE, *options)["items"]}
