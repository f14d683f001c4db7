"""One Prefect server for all tests of flows: it takes many seconds to start."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastemaker.settings import Settings

# The evidence that the tests of the gate are made with.
sys.path.append(str(Path(__file__).parents[1] / "promotion"))


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[str]:
    """Address of a server of its own, with a data base of its own; also for processes that a test starts."""
    from prefect.settings import get_current_settings
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        url = str(get_current_settings().api.url)
        before = os.environ.get("PREFECT_API_URL")
        os.environ["PREFECT_API_URL"] = url
        yield url
        os.environ.pop("PREFECT_API_URL")
        if before is not None:
            os.environ["PREFECT_API_URL"] = before


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_api: str) -> Settings:
    """Of an empty home, as the environment tells flows; the Alertmanager is away."""
    made = Settings.from_env({}, home=tmp_path, alertmanager_url="http://127.0.0.1:9")
    for name, value in made.to_env().items():
        monkeypatch.setenv(name, value)
    return made
