"""The training flow on a small made-up shop: a gate that says no is an outcome that people can see."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.settings import Settings
from tests.e2e.small_shop import open_shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    root = tmp_path_factory.mktemp("shop")
    here = Path(__file__).parents[3]
    repository = root / "repository"
    (repository / "monitoring").mkdir(parents=True)
    shutil.copytree(here / "monitoring" / "gates", repository / "monitoring" / "gates")
    (repository / "feature_repo").symlink_to(here / "feature_repo")
    settings = open_shop(Settings.from_env({}, home=root / "home", repository=repository), root)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.to_env().items():
            patch.setenv(name, value)
        yield settings


def test_train_flow_on_too_little_data_ends_blocked_with_its_evidence_in_sight(
    settings: Settings, prefect_api: str
) -> None:
    from prefect.client.orchestration import get_client

    from flows.train import train_flow

    state = train_flow(return_state=True)
    with get_client(sync_client=True) as client:
        artifacts = {artifact.key: artifact for artifact in client.read_artifacts()}

    # 4,320 events and 40 customers are fewer than the default policy's 10,000 and 200.
    assert state.is_completed()
    assert state.name == "Blocked"
    assert "data_volume" in state.message
    assert {"metrics", "verdict", "drift-report", "lineage"} <= set(artifacts)  # too little was bought to check leaks
    assert "not enough data" in artifacts["verdict"].data
    registry = ReleaseRegistry(settings)
    (release,) = registry.list()
    assert release.verdict.decision in {"not_enough_data", "fail"}
    assert not registry.verify(release.id)
    assert registry.champion() is None
    assert (settings.reports_dir / release.id / "drift.html").stat().st_size > 100_000


def test_train_flow_from_the_same_inputs_trains_nothing_anew_and_judges_by_another_policy(
    settings: Settings, prefect_api: str
) -> None:
    """The other policy takes so few events, and still not so few customers."""
    from flows.train import train_flow

    gates = settings.repository / "monitoring" / "gates"
    lenient = (gates / "default.yaml").read_text().replace("name: default", "name: lenient")
    (gates / "lenient.yaml").write_text(lenient.replace("min_events: 10000", "min_events: 1000"))
    (marker,) = (settings.home / "training").glob("*/trained.json")
    trained = marker.stat().st_mtime_ns
    state = train_flow(policy="lenient", promote=False, return_state=True)
    assert state.name == "Blocked"
    assert marker.stat().st_mtime_ns == trained
    first, second = ReleaseRegistry(settings).list()
    assert {first.verdict.policy, second.verdict.policy} == {"default", "lenient"}
    files = [
        {name: value for name, value in release.manifest.files.items() if not name.startswith("evidence/")}
        for release in (first, second)
    ]
    assert files[0] == files[1]
    assert set(marker.parent.parent.iterdir()) == {marker.parent}


def test_train_flow_while_another_one_holds_the_place_is_skipped(
    settings: Settings, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import train
    from flows.sole import SoleRun

    monkeypatch.setattr(train, "_PATIENCE_S", 0.0)
    other = SoleRun(settings, "train")
    assert other.acquire() == ""
    try:
        state = train.train_flow(return_state=True)
    finally:
        other.release()
    assert (state.name, state.is_completed()) == ("Skipped", True)
    assert "is at train already" in state.message
