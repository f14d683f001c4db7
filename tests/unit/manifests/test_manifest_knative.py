"""The overlays for Knative: what its webhook takes, its gateway knows, and its parts may reach."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from manifest_knative import FEATURES, refused_by_knative
from manifest_objects import OVERLAYS, named, of_kind, selected

KNATIVE = [overlay for overlay in OVERLAYS if overlay.startswith("knative")]
ON_KNATIVE = pytest.mark.parametrize("overlay", KNATIVE)
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "kubernetes.md"


@ON_KNATIVE
def test_knative_refuses_nothing_of_a_predictor(overlay: str) -> None:
    services = of_kind(overlay, "InferenceService")
    assert len(services) == 3
    for found in services:
        assert list(refused_by_knative(found["spec"]["predictor"])) == [], found["metadata"]["name"]


def test_a_predictor_of_the_standard_mode_would_be_refused() -> None:
    predictor = named("production", "InferenceService", "ranking")["spec"]["predictor"]
    assert list(refused_by_knative(predictor)) == [
        "the field terminationGracePeriodSeconds",
        "the field topologySpreadConstraints",
        "securityContext.fsGroupChangePolicy",
        "kserve-container: PORT",
    ]


def test_the_features_that_are_needed_are_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8").replace("`-", "`kubernetes.podspec-")
    assert all(f"`{feature}`" in text for feature in FEATURES)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_rollouts_act_in_the_mode_of_the_services_that_they_copy(overlay: str) -> None:
    template = named(overlay, "InferenceService", "recommender")
    mode = template["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
    told = named(overlay, "ConfigMap", "tastemaker-settings")["data"]["TASTEMAKER_CLUSTER_MODE"]
    assert told == mode.lower() == ("knative" if overlay in KNATIVE else "standard")


@ON_KNATIVE
def test_the_graph_calls_services_by_names_that_knatives_gateway_knows(overlay: str) -> None:
    graph = named(overlay, "InferenceGraph", "lists")
    inside = f"{graph['metadata']['namespace']}.svc.cluster.local"
    steps = graph["spec"]["nodes"]["root"]["steps"]
    standard = named("production", "InferenceGraph", "lists")["spec"]["nodes"]["root"]["steps"]
    for step, short in zip(steps, standard, strict=True):
        found, before = urlsplit(step["serviceUrl"]), urlsplit(short["serviceUrl"])
        assert found.netloc == f"{before.netloc}.{inside}"
        assert found.path == before.path


@ON_KNATIVE
@pytest.mark.parametrize(
    "labels", [{"app.kubernetes.io/name": "recommender"}, {"serving.kserve.io/inferencegraph": "lists"}]
)
def test_gateway_activator_and_autoscaler_reach_the_queue_before_a_container(
    labels: dict[str, str], overlay: str
) -> None:
    activator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "knative-serving"}}}
    gateway = {"namespaceSelector": {"matchLabels": {"tastemaker/role": "gateway"}}}

    def ports(source: dict[str, Any]) -> set[int]:
        return {
            entry["port"]
            for policy in of_kind(overlay, "NetworkPolicy")
            if selected(policy["spec"]["podSelector"], labels)
            for rule in policy["spec"].get("ingress", ())
            if source in rule.get("from", ())
            for entry in rule["ports"]
        }

    assert ports(activator) == {8012, 8013, 8112, 9090}
    assert ports(gateway) >= {8012, 8013, 8112}


@ON_KNATIVE
def test_what_calls_services_reaches_the_gateway_that_has_their_names(overlay: str) -> None:
    for name in ("graphs", "flow"):
        to = [entry for rule in named(overlay, "NetworkPolicy", name)["spec"]["egress"] for entry in rule.get("to", ())]
        assert {"namespaceSelector": {"matchLabels": {"tastemaker/role": "gateway"}}} in to
