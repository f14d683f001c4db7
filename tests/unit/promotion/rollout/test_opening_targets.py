"""Which target the settings open, and that the commands and flows use it; the cluster is the twin."""

from pathlib import Path
from typing import Any

import pytest
from kserve_twin import TwinCluster
from typer.testing import CliRunner

from tastemaker.cli.app import app
from tastemaker.errors import DataError, RolloutError
from tastemaker.promotion.rollout import kserve_champion, kserve_cluster
from tastemaker.promotion.rollout.kserve_champion import serve_champion
from tastemaker.promotion.rollout.kserve_knative import KnativeTarget
from tastemaker.promotion.rollout.kserve_services import Platform
from tastemaker.promotion.rollout.kserve_target import KServeTarget
from tastemaker.promotion.rollout.local_target import LocalTarget
from tastemaker.promotion.rollout.opening import open_target, policy_there
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


REPOSITORY = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("name", ["", "default", "cluster"])
def test_on_a_cluster_the_policy_by_default_is_the_one_without_a_shadow(name: str) -> None:
    on_cluster = Settings(repository=REPOSITORY, cluster_storage=STORAGE)
    assert policy_there(on_cluster, name).name == "cluster"
    assert policy_there(Settings(repository=REPOSITORY), name).name == (name or "default")


def test_a_policy_with_a_shadow_is_refused_on_a_cluster_before_anything_begins() -> None:
    with pytest.raises(RolloutError, match=r"rehearsal has a shadow in its step shadow, .* take the policy cluster"):
        policy_there(Settings(repository=REPOSITORY, cluster_storage=STORAGE), "rehearsal")


class Pointer:
    """The champion pointer, without releases behind it."""

    release = ""

    def __init__(self, settings: Settings) -> None:
        del settings

    def champion(self) -> Any:
        return type("Named", (), {"release": self.release}) if self.release else None


There = tuple[Settings, TwinCluster, KServeTarget]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> There:
    """A cluster with nothing served yet, and a champion pointer that :class:`Pointer` holds."""
    monkeypatch.setattr(kserve_champion, "ReleaseRegistry", Pointer)
    cluster = TwinCluster()
    target = KServeTarget(Platform(cluster, STORAGE, sleep=cluster.tick, now=cluster.now))
    return Settings(home=tmp_path, cluster_storage=STORAGE), cluster, target


def test_the_champion_is_served_where_no_rollout_runs_and_nothing_is_done_twice(
    there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, cluster, target = there
    assert serve_champion(settings, target=target) is None  # there is no release yet
    assert target.read() is None
    for release in (A, B, A):  # the first one; a promotion and a rollback past rollouts
        monkeypatch.setattr(Pointer, "release", release)
        assert serve_champion(settings, target=target) == Split(release) == target.read()
        cluster.log.clear()
        assert serve_champion(settings, target=target) is None
        assert cluster.log == []


def test_while_a_rollout_runs_its_driver_alone_says_what_is_served(
    there: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _, target = there
    monkeypatch.setattr(Pointer, "release", A)
    target.apply(Split(A, B, 0.25))
    settings.rollouts_dir.mkdir(parents=True)
    running = settings.rollouts_dir / "1.json"
    running.write_text('{"candidate": "b", "phase": "watching"}')
    assert serve_champion(settings, target=target) is None
    assert target.read() == Split(A, B, 0.25)
    running.write_text('{"candidate": "b", "phase": "reverted"}')
    assert serve_champion(settings, target=target) == Split(A)  # what a rollout left behind that it could not revert


def test_the_stack_alone_is_left_to_its_recommender(tmp_path: Path) -> None:
    assert serve_champion(Settings(home=tmp_path)) is None
    assert list(tmp_path.iterdir()) == []
