import atexit
import logging
import os

# Chooses how it keeps values when it is imported: before Feast, whose import switches the process to shared files, in
# which the counters of one test would be there in the next.
import prometheus_client
import pytest

__all__ = ["prometheus_client"]

# Let pytest's summary be the last lines: DuckDB's binding reports leaked types on stderr when the interpreter ends.
atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))


def pytest_sessionfinish() -> None:
    """Silence what still logs after the last test, such as Kafka's client about a node that is stopped."""
    logging.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `make test`, which runs two processes: files stay whole, and one process has all that start processes.

    That one is the longest, so it comes first.
    """
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)  # stable
    for item in items:
        name = "e2e" if item.get_closest_marker("e2e") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(name))
