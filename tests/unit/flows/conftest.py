"""One Prefect server for all tests of flows: it takes many seconds to start."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
