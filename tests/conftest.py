import atexit
import logging
import os
from typing import Any

os.environ.setdefault("COLUMNS", "160")  # tables as wide as on a terminal, whoever runs the tests

# Chooses how it keeps values when it is imported: before Feast, whose import switches the process to shared files, in
# which the counters of one test would be there in the next.
import prometheus_client
import pytest

__all__ = ["prometheus_client"]

_WITH_PROCESSES = "tests/e2e/"

# Let pytest's summary be the last lines: DuckDB's binding reports leaked types on stderr when the interpreter ends.
atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))


def pytest_sessionfinish() -> None:
    """Silence what still logs after the last test, such as Kafka's client about a node that is stopped."""
    logging.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest and wait most."""
    items.sort(key=lambda item: not item.nodeid.startswith(_WITH_PROCESSES))  # stable


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `make test`, which runs two processes: files stay whole, and so do all that start a stack.

    The tests of contracts stay together as well: they share a trained release and its Bentos.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file.startswith((_WITH_PROCESSES, "tests/k8s/")):
                return "stacks"
            return "contracts" if file.startswith("tests/contract/") else file

    return Scheduling(config, log)
