"""What the tests of rules and dashboards share: the real tools, and the metrics that really exist."""

import sys
from pathlib import Path

import pytest

from tastemaker.errors import StackError
from tastemaker.stack.monitoring.packages import fetch
from tastemaker.stack.monitoring.programs import Programs, find_programs

REPOSITORY = Path(__file__).parents[3]
# The twins of the recommender and of the stream.
sys.path += [str(REPOSITORY / "tests" / "unit" / folder) for folder in ("serving", "stream")]


@pytest.fixture(scope="session")
def programs() -> Programs:
    """promtool and amtool, fetched when they are not there; skipped where they cannot be had."""
    try:
        fetch(REPOSITORY)
    except StackError as error:
        if find_programs(REPOSITORY) is None:
            pytest.skip(str(error))
    found = find_programs(REPOSITORY)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def existing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, frozenset[str]]:
    """Each series that a process of the platform shows Prometheus, with its labels."""
    from real_metrics import existing_metrics

    return existing_metrics(tmp_path_factory.mktemp("metrics"))
