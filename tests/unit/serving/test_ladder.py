"""Each dependency broken: which tier answers, what it says, and that a valid list comes."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from recommender_shop import CUT, OpenShop, Shop, StoppedClock
from test_recommender_features import WatchedStore

from tastemaker.clock import to_us
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.retrieval.index import VectorIndex
from tastemaker.retrieval.source import Query, Retrieved
from tastemaker.serving import recommender as recommender_module
from tastemaker.serving.contract import Filters, RecommendationRequest, RecommendationResponse
from tastemaker.serving.recommender import Recommender
from tastemaker.serving.release import load_release

MS = 1_000_000
Floats = npt.NDArray[np.float32]


class Timer:
    """A clock that moves only when something slow happens."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class Broken:
    """What is wrong: failures by dependency, and milliseconds that each of its calls takes."""

    def __init__(self, timer: Timer) -> None:
        self.timer = timer
        self.fails: set[str] = set()
        self.slow: dict[str, int] = {}
        self.calls: dict[str, int] = {}

    def call(self, dependency: str) -> None:
        self.calls[dependency] = self.calls.get(dependency, 0) + 1
        self.timer.now += self.slow.get(dependency, 0) * MS
        if dependency in self.fails:
            raise RuntimeError(f"the {dependency} is broken")


class BrokenIndex(VectorIndex):
    """An index that can fail or dawdle."""

    broken: Broken

    def retrieve(self, query: Query, n: int) -> Retrieved:
        self.broken.call("index")
        return super().retrieve(query, n)


class SlowStore(WatchedStore):
    """A store that takes its time."""

    def __init__(self, store: Any, broken: Broken) -> None:
        super().__init__(store)
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        call = super().__getattr__(name)

        def slowly(*arguments: Any) -> Any:
            self._broken.timer.now += self._broken.slow.get("store", 0) * MS
            return call(*arguments)

        return slowly


class Stage:
    """A recommender with all that can break."""

    def __init__(self, shop: Shop, opened: OpenShop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.timer = Timer()
        self.broken = Broken(self.timer)
        self.store = SlowStore(opened.state.store.reader(), self.broken)
        release = load_release(shop.trained.directory)
        monkeypatch.setattr(recommender_module, "load_release", lambda directory: release)

        def ranker(features: Floats) -> Floats:
            self.broken.call("ranker")
            return release.ranker(features)

        def make_index(vectors: Floats, servable: npt.NDArray[np.bool_]) -> BrokenIndex:
            self.broken.call("index_build")
            index = BrokenIndex(vectors, servable)
            index.broken = self.broken
            return index

        reader = FeatureReader(self.store, FeaturePlan.load(shop.settings.plan_path))  # type: ignore[arg-type]
        self.clock = StoppedClock(to_us(CUT))
        self.open = lambda: Recommender(
            shop.trained.directory,
            reader,
            self.clock,
            timed=True,
            ranker=ranker,
            make_index=make_index,
            now_ns=self.timer,
            stale_after_s=60,
        )
        self.recommender = self.open()
        self.broken.calls.clear()

    def ask(self, **fields: Any) -> RecommendationResponse:
        response, served = self.recommender.recommend(RecommendationRequest(**fields))
        shown = [item.item_id for item in response.items]
        assert (served.tier, served.tier_reason, list(served.items)) == (response.tier, response.tier_reason, shown)
        assert len(set(shown)) == len(shown)
        assert bool(response.tier_reason) == (response.tier != "full")
        return response


@pytest.fixture
def stage(shop: Shop, opened: OpenShop, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(shop, opened, monkeypatch)


def ids(response: RecommendationResponse) -> list[str]:
    return [shown.item_id for shown in response.items]


def test_nothing_broken_is_full(stage: Stage) -> None:
    assert stage.ask(user="u3").tier == "full"


def test_store_away_gives_the_shopper_the_list_made_last(stage: Stage) -> None:
    before = stage.ask(user="u3")
    stage.store.away = True
    after = stage.ask(user="u3")
    assert after.tier == "cached"
    assert "does not answer" in after.tier_reason
    assert ids(after) == ids(before)
    assert {shown.reason for shown in after.items} == {"Picked for you"}
    excluded = stage.ask(user="u3", exclude=tuple(ids(before)[:2]))
    assert ids(excluded)[:8] == ids(before)[2:]


def test_store_away_never_gives_one_shopper_the_list_of_another(stage: Stage) -> None:
    stage.ask(user="u3")
    stage.store.away = True
    assert stage.ask(user="u4").tier == "popular"


def test_store_away_gives_a_segment_the_list_of_others_of_whom_nothing_is_known(stage: Stage) -> None:
    made = stage.ask(user="stranger", surface="similar", items=("toys-1",))
    stage.store.away = True
    other = stage.ask(user="another", surface="similar", items=("toys-1",))
    assert (other.tier, ids(other)) == ("cached", ids(made))
    assert stage.ask(user="another", surface="similar", items=("toys-2",)).tier == "popular"


def test_store_away_gives_what_is_popular_in_context(stage: Stage) -> None:
    stage.store.away = True
    page = stage.ask(user="u3", surface="similar", items=("toys-1",), k=5)
    assert page.tier == "popular"
    assert all(shown.startswith("toys") and shown != "toys-1" for shown in ids(page))
    assert {shown.reason for shown in page.items} == {"Popular in toys"}
    filtered = stage.ask(user="u3", filters=Filters(categories=("shop/garden",)), k=5)
    assert all(shown.startswith("garden") for shown in ids(filtered))


def test_store_away_leaves_a_search_with_its_items_alone(stage: Stage) -> None:
    stage.store.away = True
    given = ("toys-1", "garden-2", "toys-3")
    found = stage.ask(user="u3", surface="search", items=(*given, "nothing"), query="number3")
    assert (found.tier, ids(found), found.unknown_items) == ("unranked", list(given), ("nothing",))


def test_popular_items_that_fail_leave_a_fixed_list(stage: Stage) -> None:
    stage.store.away = True
    sources = stage.recommender._state.sources
    object.__setattr__(sources.trending, "retrieve", None)
    fixed = stage.ask(user="u3")
    assert (fixed.tier, len(fixed.items)) == ("static", 10)
    assert {shown.source for shown in fixed.items} == {"static"}


def test_store_that_is_slow_is_left_alone_after_three_times_and_asked_again_after_a_refresh(stage: Stage) -> None:
    stage.broken.slow["store"] = 64  # for the one look of a list; 40 are borne
    answers = [stage.ask(user="u3") for _ in range(4)]
    assert [response.tier for response in answers] == ["fewer", "fewer", "fewer", "cached"]
    assert "64 ms" in answers[-1].tier_reason
    asked = stage.store.asked.total()
    assert stage.ask(user="u3").tier == "cached"
    assert stage.store.asked.total() == asked
    stage.recommender.refresh()  # which can wait for the store
    assert [stage.ask(user="u3").tier for _ in range(2)] == ["fewer", "cached"]
    stage.broken.slow.clear()
    stage.recommender.refresh()
    assert stage.ask(user="u3").tier == "full"


@pytest.mark.parametrize(("part", "tier"), [("ranker", "unranked"), ("index", "fewer")])
def test_part_that_takes_as_long_as_a_list_may_is_left_out_at_once(stage: Stage, part: str, tier: str) -> None:
    stage.broken.slow[part] = 101
    stage.ask(user="u3")
    stage.broken.slow.clear()
    assert stage.ask(user="u3").tier == tier
    assert stage.broken.calls[part] == 1
    stage.timer.now += 6_000 * MS
    assert stage.ask(user="u3").tier == "full"


@pytest.mark.parametrize("part", ["ranker", "index", "store"])
def test_part_that_is_slow_while_it_warms_up_is_not_left_out_of_the_first_list(stage: Stage, part: str) -> None:
    stage.broken.slow[part] = 1_500
    stage.recommender.warm_up()
    stage.broken.slow.clear()
    assert stage.ask(user="u3").tier == "full"


def test_store_that_takes_most_of_the_budget_leaves_fewer_candidates(stage: Stage) -> None:
    home = stage.recommender.recipes["home"]
    few = home.model_copy(update={"budget": home.budget.model_copy(update={"fewer_candidates": 7})})
    stage.recommender.recipes = {"home": few}
    full = stage.recommender.recommend(RecommendationRequest(user="u3"))[1]
    stage.broken.slow["store"] = 64  # 36 left, less than the 40 that all candidates want
    response, served = stage.recommender.recommend(RecommendationRequest(user="u3", k=5))
    assert (response.tier, "fewer candidates" in response.tier_reason) == ("fewer", True)
    assert len(served.candidates) == 7 < len(full.candidates)


def test_store_that_takes_nearly_all_of_the_budget_leaves_the_ranker_out(stage: Stage) -> None:
    stage.broken.slow["store"] = 88  # 12 left, less than the 15 that ranking wants
    response = stage.ask(user="u3")
    assert (response.tier, "time runs short" in response.tier_reason) == ("unranked", True)
    assert "ranker" not in stage.broken.calls
    assert len(response.items) == 10


def test_ranker_that_fails_leaves_the_order_of_retrieval(stage: Stage) -> None:
    stage.broken.fails.add("ranker")
    tiers = [stage.ask(user="u3") for _ in range(4)]
    assert {response.tier for response in tiers} == {"unranked"}
    assert all("ranker" in response.tier_reason for response in tiers)
    assert all(len(response.items) == 10 for response in tiers)
    assert stage.broken.calls["ranker"] == 3  # then its breaker is open
    stage.broken.fails.clear()
    stage.timer.now += 6_000 * MS
    assert stage.ask(user="u3").tier == "full"


def test_ranker_that_is_slow_is_left_out_after_three_times(stage: Stage) -> None:
    stage.broken.slow["ranker"] = 30
    assert [stage.ask(user="u3").tier for _ in range(4)] == ["full", "full", "full", "unranked"]


def test_ranker_that_gives_no_numbers_is_left_out(stage: Stage) -> None:
    parts = stage.recommender._parts
    object.__setattr__(parts, "ranker", lambda features: np.full(len(features), np.nan, dtype=np.float32))
    response = stage.ask(user="u3")
    assert (response.tier, "no numbers" in response.tier_reason) == ("unranked", True)
    assert all(np.isfinite(shown.score) for shown in response.items)


def test_index_that_fails_leaves_the_candidates_of_the_other_sources(stage: Stage) -> None:
    stage.broken.fails.add("index")
    answers = [stage.ask(user="u3") for _ in range(5)]
    assert {response.tier for response in answers} == {"fewer"}
    assert all("index" in response.tier_reason and len(response.items) == 10 for response in answers)
    assert stage.broken.calls["index"] == 3
    page = stage.ask(user="u3", surface="similar", items=("toys-1",))
    assert (page.tier, len(page.items)) == ("fewer", 10)


def test_index_that_is_slow_is_left_out_after_three_times(stage: Stage) -> None:
    stage.broken.slow["index"] = 30
    assert [stage.ask(user="u3").tier for _ in range(4)] == ["full", "full", "full", "fewer"]


def test_index_that_cannot_be_built_leaves_the_other_sources(stage: Stage) -> None:
    stage.broken.fails.add("index_build")
    stage.recommender = stage.open()
    response = stage.ask(user="u3")
    assert (response.tier, len(response.items)) == ("fewer", 10)
    stage.broken.fails.clear()
    stage.recommender.refresh()
    stage.timer.now += 6_000 * MS
    assert stage.ask(user="u3").tier == "full"


def test_item_features_that_are_too_old_count_as_their_defaults_and_are_told(stage: Stage) -> None:
    fresh = stage.recommender.recommend(RecommendationRequest(user="u3"))[1]
    stage.timer.now += 61_000 * MS
    response, served = stage.recommender.recommend(RecommendationRequest(user="u3"))
    assert response.tier == "full"
    assert response.stale == ("item_activity", "item_profile")
    count = served.feature_names.index("item_purchases_28d")
    assert all(values[count] == 0 for values in served.features.values())
    assert any(values[count] > 0 for values in fresh.features.values())
    stage.recommender.refresh()
    assert stage.ask(user="u3").stale == ()


def test_budget_that_the_queue_has_spent_leaves_the_ranker_out(stage: Stage) -> None:
    response, _ = stage.recommender.answer(RecommendationRequest(user="u3"), waited_ms=95)
    assert response.tier == "unranked"


def test_shed_requests_touch_no_dependency(stage: Stage) -> None:
    stage.store.asked.clear()
    response, record = stage.recommender.shed(RecommendationRequest(user="u3"), "overloaded")
    assert (response.tier, response.tier_reason) == ("popular", "overloaded: popular items")
    assert len(response.items) == 10
    assert stage.store.asked.total() == 0
    assert stage.broken.calls == {}
    assert record.build().items == tuple(ids(response))


def test_an_error_of_the_pipeline_itself_is_a_lower_tier(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(recommender_module, "whole_list", fail)
    response = stage.ask(user="u3")
    assert (response.tier, "ZeroDivisionError" in response.tier_reason) == ("popular", True)
