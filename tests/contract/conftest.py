"""The online stores that pass the contract suite, each with servers that live as long as the module."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from valkey_server import ValkeyServer, cluster, single

_names = count()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with single(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ValkeyServer]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


def make_location(kind: str, request: pytest.FixtureRequest, directory: Path) -> Path | str:
    """A store of its own for a test."""
    name = f"t{next(_names)}"
    if kind == "sqlite":
        return directory / f"{name}.sqlite"
    if kind == "memory":
        return f"memory:{name}"
    if kind == "redis":
        return f"redis://127.0.0.1:{request.getfixturevalue('redis_server').port}/0?prefix={name}"
    return f"redis+cluster://127.0.0.1:{request.getfixturevalue('redis_cluster')[0].port}?prefix={name}"


@pytest.fixture(params=["sqlite", "memory", "redis", "cluster"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return make_location(request.param, request, tmp_path)


@pytest.fixture(params=["sqlite", "redis", "cluster"])
def shared_location(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A store that several processes share."""
    return make_location(request.param, request, tmp_path)


@pytest.fixture
def redis_location(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    return lambda kind: str(make_location(kind, request, tmp_path))
