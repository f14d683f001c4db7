"""The online stores that pass the contract suite, each with servers that live as long as the module."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_locations import KINDS, make_location
from valkey_server import ValkeyServer, cluster, single

from tastemaker.features.stores.opening import open_online_reader, open_online_store
from tastemaker.features.stores.protocol import OnlineStore, StoreReader


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with single(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ValkeyServer]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture(params=KINDS)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return make_location(request.param, request, tmp_path)


@pytest.fixture(params=["sqlite", "redis", "cluster"])
def shared_location(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A store that several processes share."""
    return make_location(request.param, request, tmp_path)


@pytest.fixture
def redis_location(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    return lambda kind: str(make_location(kind, request, tmp_path))


@pytest.fixture
def store(location: Path | str) -> Iterator[OnlineStore]:
    opened = open_online_store(location)
    yield opened
    opened.close()


@pytest.fixture
def reader(store: OnlineStore, location: Path | str) -> Iterator[StoreReader]:
    opened = open_online_reader(location)
    yield opened
    opened.close()
