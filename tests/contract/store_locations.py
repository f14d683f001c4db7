"""Locations of online stores of every kind."""

from itertools import count
from pathlib import Path

import pytest

__all__ = ["KINDS", "make_location"]

KINDS = ("sqlite", "memory", "redis", "cluster")
_names = count()


def make_location(kind: str, request: pytest.FixtureRequest, directory: Path) -> Path | str:
    """A store of its own for a test; a server is started when the first one asks for it."""
    name = f"t{next(_names)}"
    if kind == "sqlite":
        return directory / f"{name}.sqlite"
    if kind == "memory":
        return f"memory:{name}"
    if kind == "redis":
        return f"redis://127.0.0.1:{request.getfixturevalue('redis_server').port}/0?prefix={name}"
    return f"redis+cluster://127.0.0.1:{request.getfixturevalue('redis_cluster')[0].port}?prefix={name}"
