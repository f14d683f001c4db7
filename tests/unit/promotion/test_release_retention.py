"""Old releases go, and none that is still needed."""

from pathlib import Path

import pytest
from gate_evidence import NOW, evidence, policy, report, write_release

from tastemaker.errors import DataError, GateRejected
from tastemaker.promotion.gate import decide
from tastemaker.promotion.origin import origin_of
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.promotion.retention import needed, retire, to_retire
from tastemaker.serving.contract import RecommendationRequest, ServedList
from tastemaker.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home")


@pytest.fixture
def registry(settings, tmp_path):
    """Six releases, each judged against the one before; r1 to r4 were champions in turn."""
    registry = ReleaseRegistry(settings)
    before = None
    for number in range(1, 7):
        release = f"r{number}"
        files = write_release(tmp_path / release, content=release)
        against = report(champion=(0.01, 0.0, 0.02)) if before else report()
        found = evidence(release=release, files=files, champion=before, evaluation=against)
        registry.register(tmp_path / release, found, decide(policy(), found, now=NOW))
        if number <= 4:
            registry.promote(release, f"tastemaker-recommender:{release}")
            before = release
    return registry


def bento(settings, release: str, name: str = "tastemaker-recommender", version: str = "") -> Path:
    path = settings.bentoml_home / "bentos" / name / (version or release)
    path.mkdir(parents=True)
    (path / "bento.yaml").write_text(f"name: x\nmodels:\n- tag: tastemaker-release:{release}\n  module: ''\n")
    return path


def roll_out(settings, candidate: str, phase: str) -> None:
    settings.rollouts_dir.mkdir(parents=True, exist_ok=True)
    (settings.rollouts_dir / "20260301.json").write_text(f'{{"candidate": "{candidate}", "phase": "{phase}"}}')


def test_champion_predecessors_and_the_newest_stay(settings, registry):
    assert set(needed(settings, registry, rollbacks=2)) == {"r4", "r3", "r2"}
    assert [one.id for one in to_retire(settings, registry, keep=0, rollbacks=2)] == ["r6", "r5", "r1"]
    assert [one.id for one in to_retire(settings, registry, keep=2, rollbacks=2)] == ["r1"]
    assert to_retire(settings, registry, keep=100) == []


def test_a_release_on_trial_stays(settings, registry):
    roll_out(settings, "r6", "watching")
    assert needed(settings, registry)["r6"] == "a rollout of it runs"
    roll_out(settings, "r6", "reverted")
    assert "r6" not in needed(settings, registry)


@pytest.mark.parametrize(("release", "why"), [("r4", "it is the champion"), ("r3", "a rollback goes back to it")])
def test_what_is_needed_is_refused(settings, registry, release, why):
    with pytest.raises(DataError, match=why):
        retire(settings, registry, release)
    assert registry.verify(release) == ()


def test_a_retired_release_goes_with_its_bentos_and_its_origin_is_kept(settings, registry):
    own, other = bento(settings, "r1", version="r1-2"), bento(settings, "r2")
    gone = retire(settings, registry, "r1", rollbacks=2)
    assert (gone.release, gone.bentos) == ("r1", ("tastemaker-recommender:r1-2",))
    assert gone.freed > 0
    assert not own.exists()
    assert other.exists()
    with pytest.raises(DataError, match="no release 'r1'"):
        registry.get("r1")
    served = ServedList(
        request_id="q", served_at=NOW, request=RecommendationRequest(user="u"), release="r1", tier="full"
    )
    origin = origin_of(settings, served)
    assert origin.retired
    assert origin.manifest.lineage.lake_versions
    assert origin.manifest.verdict.passed


def test_the_store_names_another_newest_one_when_the_newest_goes(settings, registry):
    latest = settings.bentoml_home / "models" / "tastemaker-release" / "latest"
    assert latest.read_text() == "r6"
    retire(settings, registry, "r6")
    assert latest.read_text() == "r5"


@pytest.mark.parametrize("release", ["none", "../x", ""])
def test_an_unknown_release_and_an_unknown_origin_are_told(settings, registry, release):
    with pytest.raises(DataError, match="there is no release"):
        retire(settings, registry, release)
    served = ServedList(
        request_id="q", served_at=NOW, request=RecommendationRequest(user="u"), release=release, tier="full"
    )
    with pytest.raises(DataError, match="there is no release"):
        origin_of(settings, served)


def test_while_a_rollout_runs_nobody_else_promotes_but_everybody_may_go_back(settings, registry):
    roll_out(settings, "r5", "watching")
    with pytest.raises(GateRejected, match="a rollout of r5 runs"):
        registry.promote("r5", "recommender:r5")
    assert registry.promote("r5", "recommender:r5", rollout=True).release == "r5"
    assert registry.rollback().release == "r4"
