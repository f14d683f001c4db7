from datetime import timedelta

import pytest
from gate_evidence import NOW, POLICY_PATH, drift, evidence, policy, report, write_release

from tastemaker.errors import DataError
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.findings import ServingLoad
from tastemaker.promotion.gate import decide
from tastemaker.promotion.hashing import hash_tree
from tastemaker.promotion.policy import load_policy
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.promotion.verdicts import VerdictStore, policy_path
from tastemaker.settings import Settings

LOAD = ServingLoad(bento="b:1", requests=300, failed=0, p50_ms=3.0, p99_ms=9.0, memory_mb=400.0, ready_s=4.0)


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home")


@pytest.fixture
def release(settings, tmp_path):
    files = write_release(tmp_path / "trained")
    found = evidence(files=files)
    return ReleaseRegistry(settings).register(tmp_path / "trained", found, decide(policy(), found, now=NOW))


@pytest.fixture
def store(settings):
    return VerdictStore(settings)


def test_the_stored_evidence_is_the_one_that_was_judged(release, store):
    assert store.evidence("r1").hashes() == {
        name: value for name, value in release.verdict.judged.items() if name != "policy"
    }


def test_judging_again_finds_the_same_checks_and_the_same_file(release, store, settings):
    first = store.judge("r1", policy(), now=NOW + timedelta(days=1))
    again = store.judge("r1", policy(), now=NOW + timedelta(days=2))
    assert first.checks == release.verdict.checks
    assert (again, again.decided_at) == (first, NOW + timedelta(days=1))
    (kept,) = (settings.releases_dir / "verdicts" / "r1").iterdir()
    assert kept.stat().st_mode & 0o222 == 0


def test_another_policy_gives_another_verdict_beside_the_first(release, store):
    store.judge("r1", policy(), now=NOW + timedelta(days=1))
    strict = store.judge("r1", load_policy(POLICY_PATH.with_name("strict.yaml")), now=NOW + timedelta(days=2))
    assert strict.decision == "fail"  # one of ten columns drifted
    assert [one.policy for one in store.history("r1")] == ["default", "default", "strict"]


def test_a_changed_artifact_invalidates_every_verdict(release, store):
    made = store.judge("r1", policy(), now=NOW)
    assert store.problems(made, policy()) == ()
    weights = release.path / "tower" / "weights.bin"
    weights.chmod(0o644)
    weights.write_text("other weights")
    assert "tower/weights.bin was changed" in store.problems(made)[0]
    with pytest.raises(DataError, match="no verdict on it holds"):
        store.judge("r1", policy(), now=NOW)


def test_changed_evidence_invalidates_every_verdict(release, store):
    path = release.path / "evidence" / "drift.json"
    path.chmod(0o644)
    path.write_bytes(drift(drifted=0).to_json())
    assert "evidence/drift.json was changed" in store.problems(release.verdict)[0]


def test_a_changed_policy_is_named(release, store):
    checks = policy().checks.model_copy(update={"drift": None})
    assert store.problems(release.verdict, policy().model_copy(update={"checks": checks})) == ("policy was changed",)


def test_a_load_on_the_bento_is_judged_and_outdates_verdicts_without_it(release, store):
    production = load_policy(POLICY_PATH.with_name("production.yaml"))
    without = store.judge("r1", production, now=NOW)
    assert without.decision == "not_enough_data"
    store.keep_load("r1", LOAD)
    assert store.problems(without) == ("serving was added",)
    assert store.judge("r1", production, now=NOW).decision == "pass"


def test_evidence_without_the_newer_parts_still_reads(settings, tmp_path):
    # A release from before segments, leaks and contents were measured.
    write_release(tmp_path / "old")
    (tmp_path / "old" / "model.json").write_text('{"interactions": 12345}')
    files = hash_tree(tmp_path / "old")
    found = evidence(files=files, release="r0", conduct=None, leaks=None, contents=None, evaluation=report())
    registered = ReleaseRegistry(settings).register(tmp_path / "old", found, decide(policy(), found, now=NOW))
    stored = Evidence.stored(registered.path, registered.manifest)
    assert (stored.conduct, stored.leaks, stored.contents, stored.events) == (None, None, None, 12345)


def test_a_policy_is_found_by_name_and_by_path(tmp_path):
    assert policy_path(tmp_path, "strict") == tmp_path / "monitoring" / "gates" / "strict.yaml"
    assert str(policy_path(tmp_path, "mine/own.yaml")) == "mine/own.yaml"
