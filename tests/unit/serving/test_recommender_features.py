"""Where the features of a list come from: items in process, the shopper from the store, and what is left without it."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from recommender_shop import CUT, OpenShop, Shop, StoppedClock, staple_of

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.collapse_kernel import collapse_entries
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.validity_kernel import collapse_with_validity
from tastemaker.features.stores.protocol import StoreReader, StoreUnavailable
from tastemaker.release.ranking_features import RankingLayout
from tastemaker.serving.contract import RecommendationRequest, ServedList
from tastemaker.serving.recommender import Recommender

NOW_US = to_us(CUT)


class WatchedStore:
    """A store's reader that counts what it is asked for, and can be away."""

    def __init__(self, store: StoreReader) -> None:
        self._store = store
        self.asked: Counter[str] = Counter()
        self.away = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)

        def call(*arguments: Any) -> Any:
            self.asked[f"{name} {str(arguments[0]).partition('@')[0]}" if arguments else name] += 1
            if self.away:
                raise StoreUnavailable("the online store is away")
            return found(*arguments)

        return call


@pytest.fixture
def watched(shop: Shop, opened: OpenShop) -> tuple[WatchedStore, Recommender]:
    store = WatchedStore(opened.state.store.reader())
    reader = FeatureReader(store, FeaturePlan.load(shop.settings.plan_path))  # type: ignore[arg-type]
    recommender = Recommender(shop.trained.directory, reader, StoppedClock(NOW_US))
    recommender.warm_up()
    store.asked.clear()
    return store, recommender


def served(recommender: Recommender, **fields: Any) -> ServedList:
    return recommender.recommend(RecommendationRequest(**fields))[1]


def reader_of(opened: OpenShop, shop: Shop) -> FeatureReader:
    return FeatureReader(opened.state.store.reader(), FeaturePlan.load(shop.settings.plan_path))


def test_logged_values_are_the_readers_bit_for_bit(shop: Shop, opened: OpenShop) -> None:
    for event_type, item_id in [("view", staple_of(3)), ("cart_add", staple_of(3)), ("purchase", "toys-2")]:
        opened.send(event_type, item_id, user="u3", session="s1")
    opened.recommender.refresh()
    found = served(opened.recommender, user="u3", session="s1", k=40)
    reader = reader_of(opened, shop)
    stored = RankingLayout.of(reader.plan).stored
    ids = {names.ENTITY_USER: "u3"}
    for item_id in found.items:
        ids[names.ENTITY_ITEM] = item_id
        for view, feature, _ in stored:
            entities = reader.plan.view(view).entities
            key = tuple(ids[entity] for entity in entities) if len(entities) > 1 else ids[entities[0]]
            (expected,) = np.nan_to_num(reader.matrix(view, [key], NOW_US, [feature])[0]).tolist()
            assert found.features[item_id][found.feature_names.index(feature)] == expected, (view, feature, item_id)
    assert found.feature_names[: len(stored)] == tuple(feature for _, feature, _ in stored)
    assert to_us(found.served_at) == NOW_US


def test_event_reaches_the_items_in_process_with_the_next_refresh(opened: OpenShop) -> None:
    def views() -> float:
        found = served(opened.recommender, user="u3", k=40)
        return found.features[staple_of(3)][found.feature_names.index("item_views_7d")]

    before = views()
    opened.send("view", staple_of(3), user="u7")
    assert views() == before
    opened.recommender.refresh()
    assert views() == before + 1


def test_request_reads_rows_of_the_shopper_alone(watched: tuple[WatchedStore, Recommender]) -> None:
    store, recommender = watched
    assert served(recommender, user="u3", session="s1", k=40).tier == "full"
    assert [(name.split()[0], times) for name, times in store.asked.items()] == [("glance", 1)]


def test_no_request_compiles_after_the_warm_up(watched: tuple[WatchedStore, Recommender]) -> None:
    _, recommender = watched
    kernels: list[Any] = [collapse_entries, collapse_with_validity]
    compiled = [len(kernel.signatures) for kernel in kernels]
    assert compiled == [1, 1]
    served(recommender, user="u3")
    served(recommender, user="u4", session="s2")
    recommender.refresh()
    assert [len(kernel.signatures) for kernel in kernels] == compiled


def test_store_that_is_away_leaves_popular_items_and_the_tier_says_so(
    watched: tuple[WatchedStore, Recommender],
) -> None:
    store, recommender = watched
    store.away = True
    response, logged = recommender.recommend(RecommendationRequest(user="u3"))
    assert response.tier == logged.tier == "popular"
    assert "does not answer" in response.tier_reason
    assert len(response.items) == 10
    assert {shown.source for shown in response.items} == {"trending"}
    assert logged.features == logged.histories == {}


def test_only_the_first_request_waits_for_a_store_that_is_away(watched: tuple[WatchedStore, Recommender]) -> None:
    store, recommender = watched
    store.away = True
    served(recommender, user="u3")
    assert store.asked.total() == 1
    assert served(recommender, user="u4").tier == "popular"
    assert store.asked.total() == 1
    with pytest.raises(StoreUnavailable):
        recommender.refresh()
    assert served(recommender, user="u4").tier == "popular"
    store.away = False
    recommender.refresh()
    assert served(recommender, user="u3").tier == "full"


def test_histories_are_logged_as_they_were_read(shop: Shop, opened: OpenShop) -> None:
    opened.send("view", "toys-1", user="u3", session="s1")
    reader = reader_of(opened, shop)
    both = served(opened.recommender, user="u3", session="s1").histories
    assert both == {
        names.VIEW_USER_HISTORY: tuple(reader.history(names.VIEW_USER_HISTORY, "u3", NOW_US)),
        names.VIEW_SESSION_HISTORY: (("toys-1", "view", NOW_US - 10_000_000),),
    }
    assert both[names.VIEW_USER_HISTORY][0] == ("toys-1", "view", NOW_US - 10_000_000)
    assert len(both[names.VIEW_USER_HISTORY]) > 1
    assert served(opened.recommender).histories == {}
