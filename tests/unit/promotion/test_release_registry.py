import json
import subprocess
import sys
import time

import pytest
from gate_evidence import NOW, drift, evidence, lineage, policy, report, write_release

from tastemaker.errors import DataError, GateRejected
from tastemaker.promotion.champion import CHAMPION_NAME, locked, read_champion
from tastemaker.promotion.gate import decide
from tastemaker.promotion.hashing import hash_tree
from tastemaker.promotion.manifest import MANIFEST_NAME
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home")


@pytest.fixture
def registry(settings):
    return ReleaseRegistry(settings)


@pytest.fixture
def register(registry, tmp_path):
    """Registers a release as a training run would, judged against the given champion."""

    def _register(release, champion=None, **changes):
        directory = tmp_path / f"trained-{release}"
        files = write_release(directory, content=release)
        against = report(champion=(0.01, 0.0, 0.02)) if champion else report()
        found = evidence(**{"release": release, "files": files, "champion": champion, "evaluation": against, **changes})
        return registry.register(directory, found, decide(policy(), found, now=NOW))

    return _register


def test_a_registered_release_can_be_listed_loaded_and_verified(registry, register, settings):
    release = register("r1")
    assert release.tag == "tastemaker-release:r1"
    assert (release.path / "tower" / "weights.bin").read_text() == "r1"
    assert release.path.is_relative_to(settings.bentoml_home)
    assert registry.verify("r1") == ()
    assert [found.id for found in registry.list()] == ["r1"]
    assert registry.get("r1") == release


def test_a_release_carries_its_evidence(register):
    release = register("r1")
    kept = {path.name for path in (release.path / "evidence").iterdir()}
    parts = ("conduct", "contents", "drift", "evaluation", "leaks", "lineage", "parity", "verdict")
    assert kept == {f"{part}.json" for part in parts}
    assert release.lineage == lineage()
    assert release.verdict.passed
    assert release.manifest.metrics["ndcg"] == 0.37
    # every file of the release and the eight of the evidence
    assert len(release.manifest.files) == 2 + 8


def test_bentoml_reads_the_release_with_its_labels(register, settings):
    register("r1")
    code = (
        "import bentoml; model = bentoml.models.get('tastemaker-release:latest');"
        "print(model.tag, model.info.labels['decision'], model.info.metadata['plan_hash'])"
    )
    env = {"BENTOML_HOME": str(settings.bentoml_home), "BENTOML_DO_NOT_TRACK": "True", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tastemaker-release:r1", "pass", "91a4"]


def test_attachments_are_kept_and_hashed(registry, tmp_path):
    files = write_release(tmp_path / "trained")
    (tmp_path / "drift.html").write_text("<html>")
    found = evidence(files=files)
    verdict = decide(policy(), found, now=NOW)
    release = registry.register(tmp_path / "trained", found, verdict, attachments=[tmp_path / "drift.html"])
    assert "evidence/drift.html" in release.manifest.files


def test_registering_the_same_again_changes_nothing(registry, register, tmp_path):
    first = register("r1")
    found = evidence(files=hash_tree(tmp_path / "trained-r1"))
    again = registry.register(tmp_path / "trained-r1", found, decide(policy(), found, now=NOW))
    assert again == first


def test_an_id_never_gets_other_content(register, tmp_path):
    register("r1")
    (tmp_path / "trained-r1").rename(tmp_path / "away")
    with pytest.raises(DataError, match="other content"):
        register("r1", drift=drift(drifted=2))


def test_a_registration_killed_half_way_is_repeated(registry, register, settings):
    broken = settings.bentoml_home / "models" / "tastemaker-release" / "r1"
    broken.mkdir(parents=True)
    (broken / "ranker.json").write_text("{}")
    assert registry.list() == []
    with pytest.raises(DataError, match="register it again"):
        registry.get("r1")
    register("r1")
    assert registry.verify("r1") == ()


@pytest.mark.parametrize("release", ["", "R1", "../r1", "a b", "-r1", "x" * 64])
def test_a_bad_id_is_refused(register, release):
    with pytest.raises(DataError, match="no release id"):
        register(release.replace("/", "_")) if release == "../r1" else register(release)


def test_files_that_changed_after_the_verdict_are_refused(registry, tmp_path):
    files = write_release(tmp_path / "trained")
    found = evidence(files=files)
    verdict = decide(policy(), found, now=NOW)
    (tmp_path / "trained" / "ranker.json").write_text('{"better": true}')
    with pytest.raises(DataError, match="changed since the evidence"):
        registry.register(tmp_path / "trained", found, verdict)


def test_a_verdict_on_other_evidence_is_refused(registry, tmp_path):
    files = write_release(tmp_path / "trained")
    verdict = decide(policy(), evidence(files=files), now=NOW)
    with pytest.raises(DataError, match="judged other evidence"):
        registry.register(tmp_path / "trained", evidence(files=files, drift=drift(drifted=9)), verdict)
    with pytest.raises(DataError, match="about release r1"):
        registry.register(tmp_path / "trained", evidence(files=files, release="r2"), verdict)


def test_a_release_directory_with_our_names_in_it_is_refused(registry, tmp_path):
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / MANIFEST_NAME).write_text("{}")
    found = evidence(files=hash_tree(tmp_path / "trained"))
    with pytest.raises(DataError, match=r"already has manifest\.json"):
        registry.register(tmp_path / "trained", found, decide(policy(), found, now=NOW))


@pytest.mark.parametrize(
    ("tamper", "problem"),
    [
        (lambda path: (path / "tower" / "weights.bin").write_text("other"), "tower/weights.bin was changed"),
        (lambda path: (path / "ranker.json").unlink(), "ranker.json is missing"),
        (lambda path: (path / "extra.py").write_text(""), "extra.py was added"),
        (lambda path: (path / "evidence" / "verdict.json").write_text("{}"), "evidence/verdict.json was changed"),
    ],
)
def test_a_tampered_file_is_found_and_blocks_promotion(registry, register, tamper, problem):
    tamper(register("r1").path)
    assert registry.verify("r1") == (problem,)
    with pytest.raises(GateRejected, match="not what was judged"):
        registry.promote("r1", "recommender:r1")
    assert registry.champion() is None


def test_a_blocked_verdict_rewritten_to_a_pass_is_found(registry, register):
    release = register("r1", drift=None)
    path = release.path / MANIFEST_NAME
    path.write_text(path.read_text().replace('"decision": "fail"', '"decision": "pass"'))
    assert registry.verify("r1") == ("manifest.json was changed",)
    with pytest.raises(GateRejected, match="not what was judged"):
        registry.promote("r1", "recommender:r1")


def test_an_unknown_release_names_the_newest(registry, register):
    register("r1")
    for unknown in ("r2", "../models", ""):
        with pytest.raises(DataError, match="the newest are: r1"):
            registry.get(unknown)


def test_promotion_makes_the_champion_and_keeps_the_previous_one(registry, register, settings):
    register("r1")
    register("r2", champion="r1")
    registry.promote("r1", "recommender:r1")
    registry.promote("r2", "recommender:r2")
    champion = registry.champion()
    assert (champion.release, champion.bento, champion.action) == ("r2", "recommender:r2", "promote")
    assert champion.previous.release == "r1"
    pointer = json.loads((settings.releases_dir / CHAMPION_NAME).read_text())
    assert {"release", "bento", "promoted_at", "previous"} <= set(pointer)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"drift": None}, "says fail: data_quality: drift is unknown"), ({"events": 1}, "says not_enough_data")],
)
def test_a_blocked_release_is_registered_and_cannot_be_promoted(registry, register, changes, reason):
    register("r1", **changes)
    assert [release.verdict.passed for release in registry.list()] == [False]
    for attempt in (lambda: registry.require_promotable("r1"), lambda: registry.promote("r1", "recommender:r1")):
        with pytest.raises(GateRejected, match=reason):
            attempt()
    assert registry.champion() is None


def test_a_verdict_against_an_older_champion_is_refused(registry, register):
    register("r1")
    register("r2")
    registry.promote("r1", "recommender:r1")
    with pytest.raises(GateRejected, match="compared with no champion, and the champion is now r1"):
        registry.promote("r2", "recommender:r2")
    with pytest.raises(GateRejected, match="the champion is now r1"):
        registry.require_promotable("r2")
    registry.require_promotable("r1")


def test_promoting_the_champion_again_changes_nothing_but_a_new_bento(registry, register):
    register("r1")
    first = registry.promote("r1", "recommender:r1")
    assert registry.promote("r1", "recommender:r1") == first
    rebuilt = registry.promote("r1", "recommender:r1-2")
    assert (rebuilt.bento, rebuilt.previous) == ("recommender:r1-2", None)


def test_rollbacks_go_back_one_by_one(registry, register):
    for release, champion in (("r1", None), ("r2", "r1"), ("r3", "r2")):
        register(release, champion=champion)
        registry.promote(release, f"recommender:{release}")
    assert registry.rollback().release == "r2"
    back = registry.rollback()
    assert (back.release, back.bento, back.action) == ("r1", "recommender:r1", "rollback")
    with pytest.raises(GateRejected, match="no earlier champion"):
        registry.rollback()
    # r2's verdict is against r1, which is the champion again.
    assert registry.promote("r2", "recommender:r2").previous.release == "r1"


def test_a_rollback_to_changed_files_is_refused(registry, register):
    first = register("r1")
    register("r2", champion="r1")
    registry.promote("r1", "recommender:r1")
    registry.promote("r2", "recommender:r2")
    (first.path / "ranker.json").write_text("[]")
    with pytest.raises(GateRejected, match="not what was judged"):
        registry.rollback()
    assert registry.champion().release == "r2"


def test_a_damaged_pointer_says_what_to_do(registry, settings):
    settings.releases_dir.mkdir(parents=True)
    (settings.releases_dir / CHAMPION_NAME).write_text('{"release": 3}')
    with pytest.raises(DataError, match="promote a release again"):
        registry.champion()


PROMOTE = """
import sys, time
from pathlib import Path
from tastemaker.errors import GateRejected
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.settings import Settings
home, release = sys.argv[1:]
registry = ReleaseRegistry(Settings(home=Path(home)))
registry.verify(release)  # imports are done before the start
print("ready", flush=True)
sys.stdin.readline()
try:
    registry.promote(release, f"recommender:{release}")
    print("won")
except GateRejected as error:
    print("lost", error)
"""


def test_of_two_processes_that_promote_at_once_one_wins(register, settings):
    for release in ("r1", "r2"):
        register(release)  # both judged when there was no champion
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTE, str(settings.home), release],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for release in ("r1", "r2")
    ]
    try:
        assert [process.stdout.readline() for process in processes] == ["ready\n", "ready\n"]
        with locked(settings.releases_dir):  # both come to the lock before either can have it
            for process in processes:
                process.stdin.write("go\n")
                process.stdin.flush()
            time.sleep(0.5)
            assert read_champion(settings.releases_dir) is None
        results = [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert sorted(result.split()[0] for result in results) == ["lost", "won"]
    winner = ("r1", "r2")[[result.startswith("won") for result in results].index(True)]
    champion = read_champion(settings.releases_dir)
    assert (champion.release, champion.previous) == (winner, None)
