"""Rollouts over KServe on Knative, on the twin of a cluster."""

from typing import Any

import pytest
from kserve_twin import NEVER, TwinCluster

from tastemaker.errors import RolloutError
from tastemaker.promotion.rollout.kserve_cluster import KNATIVE, SERVICES
from tastemaker.promotion.rollout.kserve_knative import KnativeTarget
from tastemaker.promotion.rollout.kserve_services import Platform
from tastemaker.promotion.rollout.target import RolloutTarget, Split

A, B, C, D = (f"2011120{day}t130354-f980e305" for day in (6, 7, 8, 9))


def on_knative() -> tuple[TwinCluster, KnativeTarget]:
    cluster = TwinCluster(mode="Knative")
    platform = Platform(cluster, "pvc://home/{release}", patience_s=20, sleep=cluster.tick, now=cluster.now)
    return cluster, KnativeTarget(platform)


def traffic(cluster: TwinCluster) -> dict[str, int]:
    """Per cent by release."""
    service = cluster.get(KNATIVE, "recommender-live-predictor")
    assert service is not None
    uris = service["revisions"]
    return {
        uris[int(entry["revisionName"][1:]) - 1].rpartition("/")[2]: entry["percent"]
        for entry in service["status"]["traffic"]
        if entry["percent"]
    }


def test_it_is_a_rollout_target_that_reads_nothing_before_the_first_split() -> None:
    target: RolloutTarget = on_knative()[1]
    assert target.read() is None


@pytest.mark.parametrize(
    "course",
    [
        [
            (Split(A), {A: 100}),
            (Split(A, B, 0.05), {A: 95, B: 5}),
            (Split(A, B, 0.5), {A: 50, B: 50}),
            (Split(B), {B: 100}),
        ],
        [
            (Split(A, B, 0.25), {A: 75, B: 25}),
            (Split(A), {A: 100}),
            (Split(A, C, 0.05), {A: 95, C: 5}),
            (Split(C), {C: 100}),
        ],
        [(Split(A, B, 0.25), {A: 75, B: 25}), (Split(A), {A: 100}), (Split(A, B, 0.05), {A: 95, B: 5})],
        [(Split(A, B, 0.25), {A: 75, B: 25}), (Split(A), {A: 100}), (Split(B), {B: 100})],
        [(Split(A), {A: 100}), (Split(C), {C: 100}), (Split(D, B, 0.1), {D: 90, B: 10})],
        [(Split(A, B, 0.25), {A: 75, B: 25}), (Split(B, C, 0.1), {B: 90, C: 10})],
        [(Split(A, B, 0.0), {A: 100}), (Split(A, B, 1.0), {B: 100}), (Split(A), {A: 100})],
    ],
    ids=[
        "promotion",
        "next-after-rollback",
        "again-after-rollback",
        "promoted-after-rollback",
        "leaps",
        "chained",
        "ends",
    ],
)
def test_traffic_follows_each_split_and_is_read_back(course: list[tuple[Split, dict[str, int]]]) -> None:
    cluster, target = on_knative()
    for split, expected in course:
        target.apply(split)
        assert target.read() == split
        assert traffic(cluster) == expected
        cluster.log.clear()
        target.apply(split)
        assert cluster.log == []  # the same one again writes nothing


def test_a_rollback_makes_no_new_revision_so_that_nothing_has_to_start() -> None:
    cluster, target = on_knative()
    target.apply(Split(A, B, 0.25))
    before = cluster.get(KNATIVE, "recommender-live-predictor")
    target.apply(Split(A))
    after = cluster.get(KNATIVE, "recommender-live-predictor")
    assert before is not None
    assert after is not None
    assert after["revisions"] == before["revisions"]


def test_a_controller_that_stands_still_is_told_and_read_does_not_believe_the_service() -> None:
    cluster, target = on_knative()
    target.apply(Split(A))
    cluster.stuck = True
    with pytest.raises(RolloutError, match="is its controller running"):
        target.apply(Split(C))  # all to another one: the share alone would look the same
    with pytest.raises(RolloutError, match="does not follow"):
        target.read()


def test_a_candidate_that_does_not_load_is_told_and_can_be_rolled_back() -> None:
    cluster, target = on_knative()
    target.apply(Split(A))
    with pytest.raises(RolloutError, match="the release does not load"):
        target.apply(Split(A, NEVER, 0.05))
    assert traffic(cluster) == {A: 100}
    with pytest.raises(RolloutError, match="does not follow"):
        target.read()


def test_a_share_that_somebody_changed_is_noticed() -> None:
    cluster, target = on_knative()
    target.apply(Split(A, B, 0.25))

    def promoted_by_hand(service: dict[str, Any]) -> None:
        del service["spec"]["predictor"]["canaryTrafficPercent"]

    cluster.change(SERVICES, "recommender-live", promoted_by_hand)
    with pytest.raises(RolloutError, match="its share and its releases disagree"):
        target.read()


def test_a_share_that_the_webhooks_accept_wrongly_is_noticed() -> None:
    cluster, target = on_knative()
    target.apply(Split(A, B, 0.25))
    cluster.change(SERVICES, "recommender-live", lambda it: it["spec"]["predictor"].update(canaryTrafficPercent=150))
    with pytest.raises(RolloutError, match="its share and its releases disagree"):
        target.read()


def test_a_conflict_is_tried_again_on_what_is_there_now() -> None:
    cluster, target = on_knative()
    target.apply(Split(A))

    def scale_once() -> None:
        cluster.before_write = lambda: None
        cluster.change(SERVICES, "recommender-live", lambda it: it["spec"]["predictor"].update(minReplicas=7))

    cluster.before_write = scale_once
    target.apply(Split(A, B, 0.05))
    service = cluster.get(SERVICES, "recommender-live")
    assert service is not None
    assert service["spec"]["predictor"]["minReplicas"] == 7
    assert target.read() == Split(A, B, 0.05)


def test_a_service_of_that_name_that_no_rollout_made_is_not_touched_unseen() -> None:
    cluster, target = on_knative()
    stranger = cluster.get(SERVICES, "recommender")
    assert stranger is not None
    cluster.create(SERVICES, {**stranger, "metadata": {"name": "recommender-live", "annotations": {}, "labels": {}}})
    with pytest.raises(RolloutError, match="names no champion"):
        target.read()


def test_a_shadow_is_refused() -> None:
    with pytest.raises(RolloutError, match="leave the shadow step out"):
        on_knative()[1].apply(Split(A, B, 0.0, shadow=True))


@pytest.mark.parametrize("mode", ["Standard", ""])
def test_a_template_for_the_other_mode_is_refused_before_anything_is_written(mode: str) -> None:
    cluster = TwinCluster(mode=mode)
    target = KnativeTarget(Platform(cluster, "pvc://home/{release}", sleep=cluster.tick, now=cluster.now))
    with pytest.raises(
        RolloutError, match=r"rollouts act on Knative; set TASTEMAKER_CLUSTER_MODE, or apply the overlay"
    ):
        target.apply(Split(A))
    assert cluster.log == []
