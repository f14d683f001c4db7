"""A real cluster for all tests of this folder, or the reason why there is none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from k8s_cluster import RealCluster
from k8s_objects import OVERLAY, deploy
from k8s_players import Players
from k8s_programs import built

_BUILT, _WHY_NOT = built()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder, and skip it where the programs are not built."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.k8s)
            if _BUILT is None:
                item.add_marker(pytest.mark.skip(reason=_WHY_NOT))


@pytest.fixture(scope="session")
def programs() -> Path:
    """Where the programs are."""
    assert _BUILT is not None
    return _BUILT


@pytest.fixture(scope="session")
def bare_cluster(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """A cluster in which nothing of ours is."""
    cluster = RealCluster(programs, tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def players(bare_cluster: RealCluster) -> Iterator[Players]:
    """What plays storage and Knative."""
    made = Players(str(bare_cluster.kubeconfig))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def cluster(bare_cluster: RealCluster, players: Players) -> RealCluster:
    """A cluster to which the overlay for production was applied, and in which everything got ready."""
    deploy(bare_cluster, OVERLAY)
    return bare_cluster
