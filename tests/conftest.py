import atexit
import logging
import os

# Chooses how it keeps values when it is imported: before Feast, whose import switches the process to shared files, in
# which the counters of one test would be there in the next.
import prometheus_client

__all__ = ["prometheus_client"]

# Let pytest's summary be the last lines: DuckDB's binding reports leaked types on stderr when the interpreter ends.
atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))


def pytest_sessionfinish() -> None:
    """Silence what still logs after the last test, such as Kafka's client about a node that is stopped."""
    logging.disable()
