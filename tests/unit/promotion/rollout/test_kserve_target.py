"""Rollouts over KServe in Standard mode, on the twin of a cluster."""

from typing import Any

import pytest
from kserve_twin import NEVER, TwinCluster

from tastemaker.errors import RolloutError
from tastemaker.promotion.rollout.kserve_cluster import GRAPHS, PODS, SERVICES
from tastemaker.promotion.rollout.kserve_objects import service_name
from tastemaker.promotion.rollout.kserve_services import Platform
from tastemaker.promotion.rollout.kserve_target import KServeTarget
from tastemaker.promotion.rollout.target import RolloutTarget, Split

A, B, C = "20111209t130354-f980e305", "20111210t130354-0a1b2c3d", "20111211t130354-99887766"


def target_on(cluster: TwinCluster, **options: Any) -> KServeTarget:
    options = {"patience_s": 20.0, "sleep": cluster.tick, "now": cluster.now} | options
    return KServeTarget(Platform(cluster, "pvc://home/{release}", **options))


def services(cluster: TwinCluster) -> set[str]:
    found = (
        cluster.get(SERVICES, name) for name in ("recommender", *(service_name("recommender", r) for r in (A, B, C)))
    )
    return {
        service["metadata"]["name"] for service in found if service and "deletionTimestamp" not in service["metadata"]
    }


def weights(cluster: TwinCluster) -> dict[str, int]:
    graph = cluster.get(GRAPHS, "recommendations")
    assert graph is not None
    return {step["name"]: step["weight"] for step in graph["spec"]["nodes"]["root"]["steps"]}


def test_it_is_a_rollout_target_that_reads_nothing_before_the_first_split() -> None:
    target: RolloutTarget = target_on(TwinCluster())
    assert target.read() is None


def test_a_rollout_from_first_release_to_promotion_moves_weights_and_stops_the_former_champion() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    for split, expected, running in (
        (Split(A), {A: 100}, {A}),
        (Split(A, B, 0.0), {A: 100, B: 0}, {A, B}),
        (Split(A, B, 0.05), {A: 95, B: 5}, {A, B}),
        (Split(A, B, 0.5), {A: 50, B: 50}, {A, B}),
        (Split(B), {B: 100}, {B}),
    ):
        target.apply(split)
        assert target.read() == split
        assert weights(cluster) == expected
        assert services(cluster) == {"recommender"} | {service_name("recommender", release) for release in running}


def test_a_rollback_gives_all_to_the_champion_and_stops_the_candidate() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    target.apply(Split(A, B, 0.25))
    target.apply(Split(A))
    assert (target.read(), weights(cluster)) == (Split(A), {A: 100})
    assert service_name("recommender", B) not in services(cluster)


def test_the_same_split_again_writes_nothing() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    target.apply(Split(A, B, 0.05))
    cluster.log.clear()
    target.apply(Split(A, B, 0.05))
    assert cluster.log == []


def test_a_release_is_served_by_a_copy_of_the_template_that_runs_and_knows_its_files() -> None:
    cluster = TwinCluster()
    target_on(cluster).apply(Split(A))
    made = cluster.get(SERVICES, service_name("recommender", A))
    assert made is not None
    assert made["metadata"]["annotations"] == {
        "serving.kserve.io/deploymentMode": "Standard",
        "tastemaker/release": A,
    }
    assert made["spec"]["predictor"]["containers"][0]["env"] == [{"name": "STORAGE_URI", "value": f"pvc://home/{A}"}]
    assert made["spec"]["predictor"]["minReplicas"] == 2


def test_a_candidate_that_does_not_load_changes_nothing_for_shoppers_and_says_why() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    target.apply(Split(A))
    with pytest.raises(RolloutError, match=r"not within 20 s: .*does not get ready.*the release does not load"):
        target.apply(Split(A, NEVER, 0.05))
    assert target.read() == Split(A)
    assert weights(cluster) == {A: 100}
    target.apply(Split(A))  # what is left of the candidate goes
    assert services(cluster) == {"recommender", service_name("recommender", A)}
    assert cluster.get(SERVICES, service_name("recommender", NEVER))["metadata"].get("deletionTimestamp")


def test_a_conflict_is_tried_again_on_what_is_there_now() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    target.apply(Split(A))

    def scale_once() -> None:
        cluster.before_write = lambda: None
        cluster.change(GRAPHS, "recommendations", lambda graph: graph["spec"].update(maxReplicas=9))

    cluster.before_write = scale_once
    target.apply(Split(A, B, 0.05))
    graph = cluster.get(GRAPHS, "recommendations")
    assert graph is not None
    assert graph["spec"]["maxReplicas"] == 9  # what the other one wrote is still there
    assert weights(cluster) == {A: 95, B: 5}


def test_conflicts_without_end_are_told() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    target.apply(Split(A))
    cluster.before_write = lambda: cluster.change(GRAPHS, "recommendations", lambda graph: None)
    with pytest.raises(RolloutError, match="changed by others all the time"):
        target.apply(Split(A, B, 0.05))


def test_a_controller_that_stands_still_is_told_and_read_does_not_believe_the_graph() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    target.apply(Split(A, B, 0.05))
    cluster.stuck = True
    with pytest.raises(RolloutError, match="is its controller running"):
        target.apply(Split(A))
    with pytest.raises(RolloutError, match="not all routers"):
        target.read()
    assert service_name("recommender", B) in services(cluster)  # routers may still send calls there
    cluster.stuck = False
    target.apply(Split(A))
    assert target.read() == Split(A)


def test_a_router_of_before_that_still_ends_keeps_the_split_from_being_in_force() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    target.apply(Split(A, B, 0.05))
    old = cluster.find(PODS, {"serving.kserve.io/inferencegraph": "recommendations"})[0]
    target.apply(Split(A))
    cluster.create(PODS, {**old, "metadata": {**old["metadata"], "name": "recommendations-ending"}})
    with pytest.raises(RolloutError, match="1 of the former ones still run"):
        target.read()


def test_weights_that_somebody_changed_are_noticed() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    target.apply(Split(A, B, 0.05))

    def all_to_an_unknown(graph: dict[str, Any]) -> None:
        graph["spec"]["nodes"]["root"]["steps"][1]["serviceUrl"] = "http://elsewhere/v1/recommend"

    cluster.change(GRAPHS, "recommendations", all_to_an_unknown)
    with pytest.raises(RolloutError, match="not written by a rollout, or changed since"):
        target.read()
    target.apply(Split(A, B, 0.05))
    assert target.read() == Split(A, B, 0.05)


def test_another_controller_that_writes_last_is_noticed_by_the_one_that_wrote_first() -> None:
    cluster = TwinCluster()
    first, second = target_on(cluster), target_on(cluster)
    first.apply(Split(A, B, 0.05))
    ticks = iter([lambda: second.apply(Split(A))])

    def tick(seconds: float) -> None:
        cluster.tick(seconds)
        next(ticks, lambda: None)()

    raced = target_on(cluster, sleep=tick)
    with pytest.raises(RolloutError):
        raced.apply(Split(A, B, 0.25))
    assert second.read() == Split(A)


def test_a_service_that_is_gone_is_noticed() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    target.apply(Split(A, B, 0.05))
    cluster.delete(SERVICES, service_name("recommender", A))
    cluster.tick(1)
    with pytest.raises(RolloutError, match=f"of release {A} is gone"):
        target.read()
    target.apply(Split(A, B, 0.05))
    assert target.read() == Split(A, B, 0.05)


def test_a_release_that_is_just_being_stopped_is_started_again() -> None:
    cluster = TwinCluster()
    target = target_on(cluster)
    target.apply(Split(A, B, 0.05))
    target.apply(Split(A))  # B's service is being removed
    target.apply(Split(A, B, 0.05))
    assert target.read() == Split(A, B, 0.05)


def test_a_shadow_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(RolloutError, match="rollout start --policy cluster"):
        target_on(TwinCluster()).apply(Split(A, B, 0.0, shadow=True))


@pytest.mark.parametrize("share", [0.001, 0.005, 0.333])
def test_a_share_between_two_per_cents_is_refused(share: float) -> None:
    cluster = TwinCluster()
    with pytest.raises(RolloutError, match="whole per cent"):
        target_on(cluster).apply(Split(A, B, share))
    assert cluster.log == []


def test_without_manifests_it_says_that_they_are_missing() -> None:
    cluster = TwinCluster()
    with pytest.raises(RolloutError, match=r"no InferenceService attic in shop.*apply the manifests"):
        target_on(cluster, template="attic").apply(Split(A))


def test_a_template_for_the_other_mode_is_refused_before_anything_is_written() -> None:
    cluster = TwinCluster(mode="Knative")
    with pytest.raises(RolloutError, match=r"recommender in shop says .*: Knative, .* act on Standard; set .*_MODE"):
        target_on(cluster).apply(Split(A))
    assert cluster.log == []


def test_a_template_with_the_former_name_of_the_mode_is_taken() -> None:
    cluster = TwinCluster(mode="RawDeployment")
    target_on(cluster).apply(Split(A))
    assert target_on(cluster).read() == Split(A)


def test_a_template_without_a_place_for_the_release_is_refused() -> None:
    cluster = TwinCluster()
    cluster.change(SERVICES, "recommender", lambda it: it["spec"]["predictor"]["containers"][0].update(env=[]))
    with pytest.raises(RolloutError, match="no kserve-container with STORAGE_URI"):
        target_on(cluster).apply(Split(A))


def test_an_id_that_no_label_can_hold_is_refused() -> None:
    with pytest.raises(RolloutError, match="cannot be named in a label"):
        target_on(TwinCluster()).apply(Split("a/b"))


def test_a_place_that_is_the_same_for_all_releases_is_refused() -> None:
    with pytest.raises(RolloutError, match="the same for all releases"):
        Platform(TwinCluster(), "pvc://home/latest")
