"""Which target the settings open, and that the commands and flows use it; the cluster is the twin."""

from pathlib import Path
from typing import Any

import pytest
from kserve_twin import TwinCluster
from typer.testing import CliRunner

from tastemaker.cli.app import app
from tastemaker.errors import DataError, RolloutError
from tastemaker.promotion.rollout import kserve_cluster
from tastemaker.promotion.rollout.kserve_knative import KnativeTarget
from tastemaker.promotion.rollout.kserve_services import Platform
from tastemaker.promotion.rollout.kserve_target import KServeTarget
from tastemaker.promotion.rollout.local_target import LocalTarget
from tastemaker.promotion.rollout.opening import open_target
from tastemaker.promotion.rollout.target import RolloutTarget, Split
from tastemaker.settings import Settings

A, B = "20111206t130354-f980e305", "20111207t130354-f980e305"
STORAGE = "pvc://tastemaker-home/bentoml/models/tastemaker-release/{release}"


def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: TwinCluster, **environ: str) -> RolloutTarget:
    """The target of an environment, in which the way to any cluster leads to the twin."""

    def there(namespace: str) -> TwinCluster:
        assert namespace == environ.get("TASTEMAKER_CLUSTER_NAMESPACE", "tastemaker")
        return cluster

    monkeypatch.setattr(kserve_cluster, "KubernetesCluster", there)
    return open_target(Settings.from_env({"TASTEMAKER_HOME": str(tmp_path), **environ}))


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({}, LocalTarget),
        ({"TASTEMAKER_CLUSTER_MODE": "knative"}, LocalTarget),  # a mode alone names no cluster
        ({"TASTEMAKER_CLUSTER_STORAGE": STORAGE, "TASTEMAKER_CLUSTER_NAMESPACE": "shop"}, KServeTarget),
        ({"TASTEMAKER_CLUSTER_STORAGE": STORAGE, "TASTEMAKER_CLUSTER_MODE": "standard"}, KServeTarget),
        ({"TASTEMAKER_CLUSTER_STORAGE": STORAGE, "TASTEMAKER_CLUSTER_MODE": "knative"}, KnativeTarget),
    ],
)
def test_the_settings_say_which_target_is_opened(
    environ: dict[str, str], kind: type[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(opened(tmp_path, monkeypatch, TwinCluster(), **environ), kind)


def test_a_mode_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(DataError, match="'standard' or 'knative'"):
        Settings.from_env({"TASTEMAKER_CLUSTER_MODE": "serverless"})


def test_a_place_without_the_releases_id_is_refused_when_the_target_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"TASTEMAKER_CLUSTER_STORAGE": "pvc://home/latest", "TASTEMAKER_CLUSTER_MODE": "knative"}
    with pytest.raises(RolloutError, match=r"put \{release\} where its id belongs"):
        opened(tmp_path, monkeypatch, TwinCluster(mode="Knative"), **environ)


def test_a_place_with_other_braces_is_taken_as_it_stands() -> None:
    assert Platform(TwinCluster(), "s3://{shop}/{release}").uri(A) == f"s3://{{shop}}/{A}"


def test_on_knative_the_opened_target_reads_what_another_one_of_the_same_settings_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = TwinCluster(mode="Knative")
    environ = {"TASTEMAKER_CLUSTER_STORAGE": STORAGE, "TASTEMAKER_CLUSTER_MODE": "knative"}
    target = opened(tmp_path, monkeypatch, cluster, **environ)
    assert target.read() is None
    # What waits by the twin's clock instead of the machine's:
    KnativeTarget(Platform(cluster, STORAGE, sleep=cluster.tick, now=cluster.now)).apply(Split(A, B, 0.05))
    assert target.read() == Split(A, B, 0.05)
    target.apply(Split(A, B, 0.05))  # is in force: nothing to wait for


@pytest.mark.parametrize("command", [["rollout"], ["rollout", "start"]])
def test_the_help_says_what_a_cluster_does_not_do(command: list[str]) -> None:
    told = " ".join(CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).output.split())
    assert "TASTEMAKER_CLUSTER_STORAGE" in told
    assert "not the shopper" in told
    assert "no shadow" in told
