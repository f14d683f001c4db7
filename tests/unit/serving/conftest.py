"""The shop that the tests of the recommender share: its release is trained once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from recommender_shop import OpenShop, Shop, make_shop

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_shop(tmp_path_factory.mktemp("shop"), REPOSITORY)


@pytest.fixture
def opened(shop: Shop, tmp_path: Path) -> Iterator[OpenShop]:
    opened = shop.open(tmp_path / "online.sqlite")
    yield opened
    opened.state.close()
