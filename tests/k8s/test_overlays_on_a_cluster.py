"""The overlays on a real API server, and what Kubernetes' and KServe's real controllers make of one."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from k8s_cluster import RealCluster
from k8s_objects import NAMESPACE, condition, names, rendered
from k8s_programs import until

OVERLAYS = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "manifests" / "rendered").glob("*.yaml"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_server_and_the_webhooks_accept_every_object_of_an_overlay(overlay: str, cluster: RealCluster) -> None:
    documents = rendered(overlay)
    for found in documents:  # in a namespace of its own: a service there cannot change its deployment mode
        where = "name" if found["kind"] == "Namespace" else "namespace"
        found["metadata"][where] = f"trial-{overlay}"
    cluster.apply([found for found in documents if found["kind"] == "Namespace"])
    said = cluster.apply([found for found in documents if found["kind"] != "Namespace"], "--dry-run=server")
    assert len(said.splitlines()) == len(documents) - 1


def test_the_server_refuses_a_field_that_it_does_not_know(cluster: RealCluster) -> None:
    (found,) = [
        it for it in rendered("production") if it["kind"] == "InferenceService" and it["metadata"]["name"] == "ranking"
    ]
    found["spec"]["predictor"]["canaryTraficPercent"] = 10
    with pytest.raises(AssertionError, match="canaryTraficPercent"):
        cluster.apply([found], "--dry-run=server")


def test_the_server_takes_a_share_of_150_per_cent_which_is_why_we_check_it(cluster: RealCluster) -> None:
    (found,) = [
        it for it in rendered("production") if it["kind"] == "InferenceService" and it["metadata"]["name"] == "ranking"
    ]
    found["spec"]["predictor"]["canaryTrafficPercent"] = 150
    assert "serverside-applied" in cluster.apply([found], "--dry-run=server")


@pytest.mark.parametrize("model", ["retrieval", "ranking"])
def test_kserve_runs_a_model_as_the_manifest_says(model: str, cluster: RealCluster) -> None:
    service = cluster.get("inferenceservice", model, "-n", NAMESPACE)
    until(f"{model} is ready", lambda: condition(cluster.get("isvc", model, "-n", NAMESPACE), "Ready"))
    deployment = cluster.get("deployment", f"{model}-predictor", "-n", NAMESPACE)
    wanted = service["spec"]["predictor"]["containers"][0]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "kserve-container"
    assert container["image"] == wanted["image"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    assert container["resources"] == wanted["resources"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [it["topologyKey"] for it in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    scaler = cluster.get("hpa", f"{model}-predictor", "-n", NAMESPACE)["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 20)
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 60


@pytest.mark.parametrize("model", ["retrieval", "ranking"])
def test_a_models_pod_has_its_release_mounted_from_the_claim(model: str, cluster: RealCluster) -> None:
    def pods() -> list[dict[str, Any]]:
        found = cluster.get("pods", "-n", NAMESPACE, "-l", f"serving.kserve.io/inferenceservice={model}")["items"]
        return [pod for pod in found if condition(pod, "Ready")]

    until("its autoscaler has started the three that it asks for", lambda: len(pods()) == 3)
    assert len({pod["spec"]["nodeName"] for pod in pods()}) == 3  # a node each
    for pod in pods():
        assert "initContainers" not in pod["spec"]  # nothing is copied: the claim is mounted
        (container,) = pod["spec"]["containers"]
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        release = "bentoml/models/tastemaker-release/20111209t130354-f980e305"
        assert mounts["/mnt/models"]["subPath"] == release
        assert mounts["/mnt/models"]["readOnly"] is True
        claims = {it["name"]: it.get("persistentVolumeClaim", {}).get("claimName") for it in pod["spec"]["volumes"]}
        assert claims[mounts["/mnt/models"]["name"]] == "tastemaker-home"


def test_the_stopped_recommender_runs_nothing(cluster: RealCluster) -> None:
    assert "recommender-predictor" not in names(cluster, "deployments")
    assert "recommender-predictor" not in names(cluster, "hpa")


def test_the_graph_calls_retrieval_and_then_ranking(cluster: RealCluster) -> None:
    until("the graph is ready", lambda: condition(cluster.get("inferencegraph", "lists", "-n", NAMESPACE), "Ready"))
    deployment = cluster.get("deployment", "lists", "-n", NAMESPACE)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    graph = json.loads(container["args"][container["args"].index("--graph-json") + 1])
    assert [step["serviceUrl"] for step in graph["nodes"]["root"]["steps"]] == [
        "http://retrieval-predictor/v2/models/retrieval/infer",
        "http://ranking-predictor/v2/models/ranking/infer",
    ]
    assert graph["nodes"]["root"]["steps"][1]["data"] == "$response"
    assert {"name": "PROPAGATE_HEADERS", "value": "Authorization,X-Api-Key,Traceparent"} in container["env"]
    services = {it["metadata"]["name"]: it["spec"] for it in cluster.get("services", "-n", NAMESPACE)["items"]}
    for name in ("retrieval-predictor", "ranking-predictor"):
        assert services[name]["clusterIP"] != "None"  # else its port would be the pods', 8080
        assert services[name]["ports"][0]["port"] == 80


def test_every_budget_counts_pods(cluster: RealCluster) -> None:
    empty = {"recommender"}  # before the first rollout

    def expected() -> dict[str, int]:
        budgets = cluster.get("pdb", "-n", NAMESPACE)["items"]
        return {it["metadata"]["name"]: it.get("status", {}).get("expectedPods", 0) for it in budgets}

    until("budgets count pods", lambda: {name for name, count in expected().items() if not count} <= empty)
    wanted = {"retrieval": 3, "ranking": 3, "collector": 2, "redis": 1}
    until("they count all pods", lambda: wanted.items() <= expected().items())


def selects(cluster: RealCluster, kind: str, selector: dict[str, Any]) -> int:
    """How many objects a selector takes, by the server's own reckoning."""
    parts = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
    for rule in selector.get("matchExpressions", ()):
        values = f"({','.join(rule.get('values', ()))})"
        parts.append({"In": f"{rule['key']} in {values}", "Exists": rule["key"]}[rule["operator"]])
    return len(cluster.get(kind, "-n", NAMESPACE, "-l", ",".join(parts))["items"])


def test_monitors_find_pods_and_services_with_the_ports_that_they_name(cluster: RealCluster) -> None:
    for monitor in cluster.get("servicemonitors", "-n", NAMESPACE)["items"]:
        assert selects(cluster, "services", monitor["spec"]["selector"]) == 1, monitor["metadata"]["name"]
    (monitor,) = cluster.get("podmonitors", "-n", NAMESPACE)["items"]
    until("six pods of models run", lambda: selects(cluster, "pods", monitor["spec"]["selector"]) == 6)
    for model in ("retrieval", "ranking"):
        pod = cluster.get("pods", "-n", NAMESPACE, "-l", f"serving.kserve.io/inferenceservice={model}")["items"][0]
        assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in {
            port.get("name") for port in pod["spec"]["containers"][0]["ports"]
        }


def test_policies_find_the_pods_that_they_are_about(cluster: RealCluster) -> None:
    of_others = {"kafka", "flow", "served-lists"}  # pods of Strimzi, of runs, and of a rollout that is not there yet
    for policy in cluster.get("networkpolicies", "-n", NAMESPACE)["items"]:
        if policy["metadata"]["name"] not in of_others:
            assert selects(cluster, "pods", policy["spec"]["podSelector"]) > 0, policy["metadata"]["name"]


def test_applying_again_changes_nothing(cluster: RealCluster) -> None:
    def state() -> dict[str, int]:
        kinds = ("deployments", "statefulsets", "inferenceservices", "inferencegraphs", "networkpolicies")
        found = [it for kind in kinds for it in cluster.get(kind, "-n", NAMESPACE)["items"]]
        return {f"{it['kind']}/{it['metadata']['name']}": it["metadata"]["generation"] for it in found}

    before = copy.deepcopy(state())
    cluster.apply([found for found in rendered("production") if found["kind"] != "Namespace"])
    assert state() == before
