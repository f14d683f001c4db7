"""Promotion and rollback through the SDK, on KServe's real controller and webhooks, and through its real router."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from k8s_cluster import RealCluster
from k8s_objects import NAMESPACE, condition, names, rendered
from k8s_players import Players
from k8s_programs import free_port

from tastemaker.errors import RolloutError
from tastemaker.promotion.rollout.kserve_cluster import (
    GRAPHS,
    SERVICES,
    ClusterConflict,
    KubernetesCluster,
    Object,
    Resource,
)
from tastemaker.promotion.rollout.kserve_knative import KnativeTarget
from tastemaker.promotion.rollout.kserve_objects import service_name
from tastemaker.promotion.rollout.kserve_services import Platform
from tastemaker.promotion.rollout.kserve_target import KServeTarget
from tastemaker.promotion.rollout.target import Split

A, B, C, D = (f"2011120{day}t130354-f980e305" for day in (6, 7, 8, 9))
URI = "pvc://tastemaker-home/bentoml/models/tastemaker-release/{release}"
CALLS = 2000
pytestmark = pytest.mark.timeout(1200)  # a busy machine: each step restarts pods, as a cluster would
Through = Callable[[str], tuple[dict[str, int], dict[str, Any]]]


@pytest.fixture(scope="module")
def sdk(cluster: RealCluster) -> KubernetesCluster:
    return KubernetesCluster(NAMESPACE, str(cluster.kubeconfig))


@pytest.fixture
def target(sdk: KubernetesCluster) -> Iterator[KServeTarget]:
    made = KServeTarget(Platform(sdk, URI, patience_s=90))
    yield made
    made.apply(Split(A))  # what the next test begins with


@pytest.fixture
def through(cluster: RealCluster, programs: Path) -> Through:
    """Sends calls through KServe's router with the graph of a Deployment; where they went, and one answer."""

    def send(deployment: str) -> tuple[dict[str, int], dict[str, Any]]:
        (container,) = cluster.get("deployment", deployment, "-n", NAMESPACE)["spec"]["template"]["spec"]["containers"]
        graph = container["args"][container["args"].index("--graph-json") + 1]
        headers = {it["name"]: it["value"] for it in container.get("env", ())}
        script, router = Path(__file__).with_name("route_calls.py"), programs / "bin" / "kserve-router"
        alone = ["unshare", "--user", "--map-root-user", "--net", sys.executable, str(script), str(router), str(CALLS)]
        done = subprocess.run(alone, input=graph, capture_output=True, text=True, check=False, env=headers)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        return told["called"], told["answer"]

    return send


def address(release: str) -> str:
    return f"http://{service_name('recommender', release)}-predictor.{NAMESPACE}.svc.cluster.local/v1/recommend"


def predictors(cluster: RealCluster) -> set[str]:
    found = names(cluster, "deployments", "-l", "app.kubernetes.io/name=recommender")
    return {
        name
        for name in found
        if "deletionTimestamp" not in cluster.get("deployment", name, "-n", NAMESPACE)["metadata"]
    }


def test_a_promotion_step_by_step_moves_real_calls_and_leaves_the_new_champion_alone(
    cluster: RealCluster, target: KServeTarget, through: Through
) -> None:
    for split, shares in (
        (Split(A), {A: 1.0}),
        (Split(A, B, 0.0), {A: 1.0}),
        (Split(A, B, 0.05), {A: 0.95, B: 0.05}),
        (Split(A, B, 0.25), {A: 0.75, B: 0.25}),
        (Split(B), {B: 1.0}),
    ):
        target.apply(split)
        assert target.read() == split
        called, answer = through("recommendations")
        assert sum(called.values()) == CALLS
        assert set(called) == {address(release) for release in shares}
        for release, share in shares.items():
            # Five standard deviations of a binomial: one run in a million fails for no reason.
            assert abs(called[address(release)] - CALLS * share) <= 5 * math.sqrt(CALLS * share * (1 - share)) + 1e-9
        assert answer["key"] == "tm_key"  # the key of the caller comes through
        assert answer["got"] == {"user": str(CALLS - 1)}
    assert (
        cluster.get("isvc", service_name("recommender", B), "-n", NAMESPACE)["metadata"]["labels"]["tastemaker/release"]
        == B
    )
    assert service_name("recommender", A) not in {
        it["metadata"]["name"]
        for it in cluster.get("isvc", "-n", NAMESPACE)["items"]
        if "deletionTimestamp" not in it["metadata"]
    }


def test_a_rollback_sends_all_calls_to_the_champion_again(
    cluster: RealCluster, target: KServeTarget, through: Through
) -> None:
    target.apply(Split(A, C, 0.5))
    deployment = cluster.get("deployment", f"{service_name('recommender', C)}-predictor", "-n", NAMESPACE)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {"name": "STORAGE_URI", "value": URI.format(release=C)} in container["env"]
    assert condition(cluster.get("isvc", service_name("recommender", C), "-n", NAMESPACE), "Ready")
    target.apply(Split(A))
    assert target.read() == Split(A)
    called, _ = through("recommendations")
    assert called == {address(A): CALLS}


def test_applying_the_manifests_again_undoes_no_rollout(cluster: RealCluster, target: KServeTarget) -> None:
    target.apply(Split(A, B, 0.25))
    cluster.apply([found for found in rendered("production") if found["kind"] != "Namespace"])
    assert target.read() == Split(A, B, 0.25)


class Meddled(KubernetesCluster):
    """Before each of the first three replacements of a graph, somebody else writes to it."""

    def meddle(self, write: Callable[[str], object]) -> None:
        self._writes = [partial(write, f"n{number}") for number in range(3)]

    def replace(self, resource: Resource, body: Object) -> Object:
        if resource == GRAPHS and self._writes:
            self._writes.pop(0)()
        return super().replace(resource, body)


def test_writes_of_others_at_the_same_time_are_kept_and_do_not_stop_a_rollout(
    cluster: RealCluster, sdk: KubernetesCluster, target: KServeTarget
) -> None:
    target.apply(Split(A))
    meddled = Meddled(NAMESPACE, str(cluster.kubeconfig))
    graph = "inferencegraph", "recommendations"
    meddled.meddle(lambda note: cluster.kubectl("annotate", "--overwrite", *graph, "-n", NAMESPACE, f"note={note}"))
    KServeTarget(Platform(meddled, URI, patience_s=90)).apply(Split(A, B, 0.25))
    assert target.read() == Split(A, B, 0.25)
    found = sdk.get(GRAPHS, "recommendations")
    assert found is not None
    assert found["metadata"]["annotations"]["note"] == "n2"  # all three were there, and were kept


def test_a_stale_write_is_a_conflict_and_an_unknown_field_is_refused(
    sdk: KubernetesCluster, target: KServeTarget
) -> None:
    target.apply(Split(A))
    stale = sdk.get(GRAPHS, "recommendations")
    assert stale is not None
    target.apply(Split(A, B, 0.05))
    with pytest.raises(ClusterConflict):
        sdk.replace(GRAPHS, stale)
    with pytest.raises(ClusterConflict):
        sdk.create(GRAPHS, {**stale, "metadata": {"name": "recommendations"}})
    service = sdk.get(SERVICES, service_name("recommender", A))
    assert service is not None
    service["spec"]["predictor"]["canaryTraficPercent"] = 10
    with pytest.raises(RolloutError, match=r'unknown field "spec\.predictor\.canaryTraficPercent"'):
        sdk.replace(SERVICES, service)


def test_weights_changed_by_hand_are_noticed(sdk: KubernetesCluster, target: KServeTarget) -> None:
    target.apply(Split(A, B, 0.05))
    graph = sdk.get(GRAPHS, "recommendations")
    assert graph is not None
    graph["spec"]["nodes"]["root"]["steps"][1]["serviceUrl"] = "http://elsewhere/v1/recommend"
    sdk.replace(GRAPHS, graph)
    with pytest.raises(RolloutError, match="changed since"):
        target.read()


def test_without_kserves_controller_nothing_is_claimed_and_afterwards_it_goes_on(
    cluster: RealCluster, sdk: KubernetesCluster, target: KServeTarget
) -> None:
    target.apply(Split(A, B, 0.05))
    hasty = KServeTarget(Platform(sdk, URI, patience_s=4))
    cluster.stop_kserve()
    try:
        with pytest.raises(RolloutError):  # the webhooks are away with it
            hasty.apply(Split(A, B, 0.25))
        with pytest.raises(RolloutError):
            hasty.apply(Split(A, C, 0.25))
    finally:
        cluster.start_kserve()
    assert target.read() == Split(A, B, 0.05)
    target.apply(Split(A, B, 0.25))
    assert target.read() == Split(A, B, 0.25)


def test_a_cluster_that_does_not_answer_or_is_not_configured_is_told(tmp_path: Path, cluster: RealCluster) -> None:
    dead = tmp_path / "kubeconfig"
    dead.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{free_port()}", cluster.kubeconfig.read_text()))
    with pytest.raises(RolloutError, match="does not answer"):
        KubernetesCluster(NAMESPACE, str(dead), timeout_s=2).get(GRAPHS, "recommendations")
    with pytest.raises(RolloutError, match="no way to the cluster"):
        KubernetesCluster(NAMESPACE, str(tmp_path / "missing"))


def opened(cluster: RealCluster, home: Path, mode: str, split: Split) -> str:
    """Another process brings a split into force, and knows of the cluster what its environment says."""
    script = (
        "import sys; from tastemaker.promotion.rollout.opening import open_target;"
        " from tastemaker.promotion.rollout.target import Split; from tastemaker.settings import Settings;"
        " target = open_target(Settings.from_env());"
        " target.apply(Split(sys.argv[1], sys.argv[2], float(sys.argv[3])));"
        " print(type(target).__name__, target.read())"
    )
    environ = {
        **os.environ,
        "KUBECONFIG": str(cluster.kubeconfig),
        "TASTEMAKER_HOME": str(home),
        "TASTEMAKER_CLUSTER_STORAGE": URI,
        "TASTEMAKER_CLUSTER_MODE": mode,
        "TASTEMAKER_CLUSTER_NAMESPACE": NAMESPACE,
    }
    told = [sys.executable, "-c", script, split.champion, str(split.candidate), str(split.share)]
    done = subprocess.run(told, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.strip()


def test_the_settings_alone_open_the_target_of_the_standard_mode(
    cluster: RealCluster, target: KServeTarget, tmp_path: Path
) -> None:
    target.apply(Split(A))
    assert opened(cluster, tmp_path, "standard", Split(A, B, 0.05)) == f"KServeTarget {Split(A, B, 0.05)}"
    assert target.read() == Split(A, B, 0.05)


def traffic(players: Players, cluster: RealCluster) -> dict[str, int]:
    """What KServe's controller asks Knative for, as per cent by release."""
    name = "recommender-live-predictor"
    service = cluster.get("services.serving.knative.dev", name, "-n", NAMESPACE)
    shares: dict[str, int] = {}
    for entry in service["status"]["traffic"]:
        release = players.revisions[name][int(entry["revisionName"].rpartition("-")[2]) - 1].rpartition("/")[2]
        if entry.get("percent"):
            shares[release] = shares.get(release, 0) + entry["percent"]
    return shares


@pytest.fixture(scope="module")
def knative(cluster: RealCluster, sdk: KubernetesCluster) -> Iterator[KnativeTarget]:
    """A target over a template that asks for Knative, as the overlay for Knative has it."""
    (template,) = [
        it for it in rendered("knative") if it["kind"] == "InferenceService" and it["metadata"]["name"] == "recommender"
    ]
    template["metadata"]["name"] = "recommender-on-knative"
    cluster.apply([template])
    yield KnativeTarget(Platform(sdk, URI, "recommender-on-knative", patience_s=60))
    cluster.kubectl(
        "delete", "isvc", "recommender-live", "recommender-on-knative", "-n", NAMESPACE, "--ignore-not-found"
    )


def test_on_knative_the_controller_asks_for_each_split_of_a_promotion_and_a_rollback(
    cluster: RealCluster, players: Players, knative: KnativeTarget
) -> None:
    for split, expected in (
        (Split(A), {A: 100}),
        (Split(A, B, 0.05), {A: 95, B: 5}),
        (Split(A, B, 0.5), {A: 50, B: 50}),
        (Split(B), {B: 100}),
        (Split(B, C, 0.25), {B: 75, C: 25}),
        (Split(B), {B: 100}),
        (Split(B, D, 0.05), {B: 95, D: 5}),
        (Split(D), {D: 100}),
    ):
        knative.apply(split)
        assert knative.read() == split
        assert traffic(players, cluster) == expected


def test_the_settings_alone_open_the_target_of_knative_which_gets_no_more_than_it_takes(
    cluster: RealCluster, players: Players, knative: KnativeTarget, tmp_path: Path
) -> None:
    knative.apply(Split(A))
    assert opened(cluster, tmp_path, "knative", Split(A, B, 0.25)) == f"KnativeTarget {Split(A, B, 0.25)}"
    assert traffic(players, cluster) == {A: 75, B: 25}
    found = cluster.get("services.serving.knative.dev", "recommender-live-predictor", "-n", NAMESPACE)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert "PORT" not in {it["name"] for it in container["env"]}  # Knative sets it, and refuses who does too


def test_on_knative_a_candidate_that_does_not_load_gets_no_calls(
    cluster: RealCluster, players: Players, sdk: KubernetesCluster, knative: KnativeTarget
) -> None:
    knative.apply(Split(A))
    players.fails.add(URI.format(release=C))
    hasty = KnativeTarget(Platform(sdk, URI, "recommender-on-knative", patience_s=5))
    with pytest.raises(RolloutError, match="not within 5 s"):
        hasty.apply(Split(A, C, 0.25))
    assert traffic(players, cluster) == {A: 100}
    players.fails.clear()
    knative.apply(Split(A))
    assert knative.read() == Split(A)
