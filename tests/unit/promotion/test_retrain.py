"""Retraining on drift: at most once in the cool-down, never lost, never doubled."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tastemaker.errors import DataError
from tastemaker.promotion.retrain import last_retrain, retrain_once
from tastemaker.settings import Settings

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({}, home=tmp_path)


def test_retrain_once_starts_one_run_within_the_cooldown_and_another_after_it(settings: Settings) -> None:
    keys: list[str] = []

    def start(key: str) -> str:
        keys.append(key)
        return f"run-{len(keys)}"

    first = retrain_once(settings, "price drifted", DAY, start, NOW)
    assert first is not None
    assert (first.run, first.reason) == ("run-1", "price drifted")
    assert retrain_once(settings, "still", DAY, start, NOW + DAY - timedelta(seconds=1)) is None
    second = retrain_once(settings, "again", DAY, start, NOW + DAY)
    assert second is not None
    assert second.run == "run-2"
    assert len(set(keys)) == 2


def test_retrain_once_that_could_not_start_is_started_by_the_next_call_with_the_same_key(settings: Settings) -> None:
    keys: list[str] = []

    def fails(key: str) -> str:
        keys.append(key)
        raise ConnectionError("no server")

    with pytest.raises(ConnectionError):
        retrain_once(settings, "price drifted", DAY, fails, NOW)
    made = retrain_once(settings, "other words", DAY, lambda key: keys.append(key) or "run", NOW + timedelta(hours=6))
    assert made is not None
    assert made.reason == "price drifted"
    assert keys[0] == keys[1]  # a run that the first call had started after all would be found by it
    assert last_retrain(settings) == made


def test_retrain_once_without_a_cooldown_starts_each_time(settings: Settings) -> None:
    runs = iter("ab")
    for _ in range(2):
        assert retrain_once(settings, "x", timedelta(0), lambda _key: next(runs), NOW) is not None


def test_retrain_once_with_a_damaged_record_says_what_to_remove(settings: Settings) -> None:
    (settings.home / "flows").mkdir()
    (settings.home / "flows" / "retrain.json").write_text("[]")
    with pytest.raises(DataError, match=r"retrain\.json is damaged"):
        retrain_once(settings, "x", DAY, lambda _key: "run", NOW)
