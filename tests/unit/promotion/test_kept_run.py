"""What a training run keeps: whole or nothing, found again by its key alone, and not for ever."""

import os
from pathlib import Path

import pytest

from tastemaker.promotion.kept_run import KeptRun
from tastemaker.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({}, home=tmp_path)


def _train(kept: KeptRun, content: str = "weights") -> None:
    (kept.release_dir / "towers").mkdir(parents=True)
    (kept.release_dir / "towers" / "weights").write_text(content)


def test_a_release_that_was_noted_is_found_by_a_run_of_the_same_key_only(settings: Settings) -> None:
    kept = KeptRun(settings, "a")
    _train(kept)
    kept.note_trained()
    assert KeptRun(settings, "a").is_trained()
    assert not KeptRun(settings, "b").is_trained()


def test_a_release_that_was_killed_half_way_is_removed_and_its_checkpoints_stay(settings: Settings) -> None:
    kept = KeptRun(settings, "a")
    _train(kept)
    checkpoints = kept.release_dir.with_name("release.checkpoints")
    checkpoints.mkdir()
    assert not KeptRun(settings, "a").is_trained()
    assert not kept.release_dir.exists()
    assert checkpoints.is_dir()


@pytest.mark.parametrize("damage", ["changed", "added", "removed", "marker"])
def test_a_release_that_changed_since_is_not_taken(settings: Settings, damage: str) -> None:
    kept = KeptRun(settings, "a")
    _train(kept)
    kept.note_trained()
    weights = kept.release_dir / "towers" / "weights"
    if damage == "changed":
        weights.write_text("others")
    elif damage == "added":
        weights.with_name("more").write_text("x")
    elif damage == "removed":
        weights.unlink()
    else:
        kept.release_dir.with_name("trained.json").write_text("{ half")
    assert not kept.is_trained()


def test_a_step_is_not_found_again_after_its_directory_was_removed(settings: Settings) -> None:
    kept = KeptRun(settings, "a")
    assert kept.step("drift", "w1") == KeptRun(settings, "a").step("drift", "w1")
    assert len({kept.step("drift", "w1"), kept.step("drift", "w2"), kept.step("drift"), kept.step("leaks")}) == 4
    (settings.home / "training" / "a" / "token").unlink()
    assert KeptRun(settings, "a").step("drift", "w1") != kept.step("drift", "w1")


def test_prune_others_keeps_this_one_and_the_two_used_last(settings: Settings) -> None:
    for age, key in enumerate("edcba"):
        KeptRun(settings, key)
        os.utime(settings.home / "training" / key, (age, age))  # e was used first
    kept = KeptRun(settings, "e")
    kept.prune_others()
    assert {path.name for path in (settings.home / "training").iterdir()} == {"e", "a", "b"}
