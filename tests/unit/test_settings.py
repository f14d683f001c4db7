from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tastemaker.clock import Clock, from_us, to_us
from tastemaker.errors import DataError
from tastemaker.settings import Settings


def test_from_env_reads_prefixed_variables(tmp_path: Path) -> None:
    settings = Settings.from_env({"TASTEMAKER_HOME": str(tmp_path), "TASTEMAKER_KAFKA_PORT": "19092"})
    assert settings.home == tmp_path
    assert settings.broker == "127.0.0.1:19092"


def test_from_env_broker_of_someone_else_wins_over_the_local_port() -> None:
    settings = Settings.from_env({"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "TASTEMAKER_KAFKA_PORT": "19092"})
    assert settings.broker == "kafka:9092"


def test_from_env_names_the_variable_that_does_not_convert() -> None:
    with pytest.raises(DataError, match="kafka_port"):
        Settings.from_env({"TASTEMAKER_KAFKA_PORT": "ninety"})


def test_to_env_gives_a_child_the_same_settings(tmp_path: Path) -> None:
    settings = Settings.from_env({}, home=tmp_path, serve_log_rate=0.5, clock_offset_us=-7)
    assert Settings.from_env(settings.to_env()).model_dump(exclude={"kafka_bootstrap_servers"}) == settings.model_dump(
        exclude={"kafka_bootstrap_servers"}
    )


def test_with_clock_at_is_continued_by_later_processes(tmp_path: Path) -> None:
    end_of_data = datetime(2011, 12, 9, 12, 50, tzinfo=UTC)
    pinned = Settings.from_env({}, home=tmp_path).with_clock_at(end_of_data)
    later = Settings.from_env({}, home=tmp_path)
    assert later.clock_offset_us == pinned.clock_offset_us
    assert abs(later.clock.now() - end_of_data) < timedelta(minutes=1)


def test_clock_microseconds_round_trip() -> None:
    moment = datetime(2011, 12, 9, 12, 50, 0, 123457, tzinfo=UTC)
    assert from_us(to_us(moment)) == moment
    assert Clock(0).now().tzinfo is UTC


def test_online_store_is_a_file_in_the_home_or_an_address(tmp_path: Path) -> None:
    settings = Settings.from_env({"TASTEMAKER_HOME": str(tmp_path)})
    assert settings.online_location == tmp_path / "online.sqlite"
    named = Settings.from_env({"TASTEMAKER_HOME": str(tmp_path), "TASTEMAKER_ONLINE_STORE": "other/rows.sqlite"})
    assert named.online_location == tmp_path / "other" / "rows.sqlite"
    for location in ("redis://127.0.0.1:6379/0", "redis+cluster://127.0.0.1:7000"):
        assert Settings.from_env({"TASTEMAKER_ONLINE_STORE": location}).online_location == location
