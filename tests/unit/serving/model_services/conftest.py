"""Both models over one store, beside the recommender."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from recommender_shop import CUT, OpenShop, Shop, StoppedClock

from tastemaker.clock import to_us
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.serving.model_services.contract import (
    RankedItems,
    RankingRequest,
    RetrievalRequest,
    RetrievedCandidates,
)
from tastemaker.serving.model_services.ranking import RankingModel, no_index
from tastemaker.serving.model_services.retrieval import RetrievalModel
from tastemaker.serving.model_services.shop import ModelShop
from tastemaker.serving.recipes import load_recipes
from tastemaker.serving.recommender import Recommender

__all__ = ["Alone"]

# What a list is before diversity, caps and the like: neither model re-ranks.
RECIPES = {name: recipe.model_copy(update={"rerank": None}) for name, recipe in load_recipes().items()}


@dataclass
class Alone:
    """Both models over one store, the recommender beside them, and the worker's end of the store."""

    opened: OpenShop
    recommender: Recommender
    retrieval: RetrievalModel
    ranking: RankingModel
    readers: tuple[FeatureReader, ...]

    def chain(self, request: RetrievalRequest) -> tuple[RetrievedCandidates, RankedItems]:
        """As a graph of services passes it on: as JSON."""
        found = self.retrieval.answer(request)
        passed = msgspec.json.decode(msgspec.json.encode(found), type=RankingRequest)
        self.ranking.check(passed)
        return found, self.ranking.answer(passed)


@contextmanager
def models(shop: Shop, directory: Path) -> Iterator[Alone]:
    """Over a fresh store, as of the cut."""
    online, plan = directory / "online.sqlite", FeaturePlan.load(shop.settings.plan_path)
    opened = shop.open(online)
    readers = tuple(FeatureReader(online, plan) for _ in range(3))
    clock, release = StoppedClock(to_us(CUT)), shop.trained.directory
    yield Alone(
        opened,
        Recommender(release, readers[0], clock, recipes=RECIPES),
        RetrievalModel(ModelShop(release, readers[1], clock, recipes=RECIPES)),
        RankingModel(ModelShop(release, readers[2], clock, recipes=RECIPES, make_index=no_index, keep_items=True)),
        readers,
    )
    for reader in readers:
        reader.close()
    opened.state.close()


@pytest.fixture(scope="module")
def alone(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """For tests that change nothing but visits of their own."""
    with models(shop, tmp_path_factory.mktemp("models")) as made:
        yield made


@pytest.fixture
def fresh(shop: Shop, tmp_path: Path) -> Iterator[Alone]:
    """For tests that change the shop."""
    with models(shop, tmp_path) as made:
        yield made
