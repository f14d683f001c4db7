"""The recommender: one release, one online store, and the stages of each surface's recipe. One process, no network."""

import logging
import threading
import uuid
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter_ns
from typing import Final

from tastemaker.clock import Clock
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.retrieval.index import VectorIndex
from tastemaker.retrieval.source import NO_ROWS
from tastemaker.serving.at_hand import CachedLists, StaticList
from tastemaker.serving.candidates import MakeIndex
from tastemaker.serving.context import nobody
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse, ServedList
from tastemaker.serving.index_guard import NoIndex, guarded
from tastemaker.serving.item_features import ItemFeatures
from tastemaker.serving.lower_rungs import list_at_hand
from tastemaker.serving.making import Breakers, Made, Order, Parts, Unreachable
from tastemaker.serving.model_services.given_history import VISIT, GivenHistory
from tastemaker.serving.pipeline import whole_list
from tastemaker.serving.ranking import RankFunction
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.recipes import load_recipes
from tastemaker.serving.records import ListRecord
from tastemaker.serving.release import load_release, read_by
from tastemaker.serving.relisting import reranked
from tastemaker.serving.repeats import RepeatedLists
from tastemaker.serving.replay.trace import DISCOUNT, LIFT
from tastemaker.serving.requests import check_request, trial_requests
from tastemaker.serving.rerank.rule_watch import RuleWatch
from tastemaker.serving.shop_rules import ShopRules
from tastemaker.serving.shop_state import read_state
from tastemaker.serving.stages.explain import ExplainInput, explain
from tastemaker.serving.stages.log import LogInput, keep
from tastemaker.serving.stages.runner import StageClock
from tastemaker.serving.warm_up import trial_history, warm_up

__all__ = ["Recommender"]

_log = logging.getLogger(__name__)

# Tiers that know the shopper, or know that nobody knows them.
_WORTH_KEEPING: Final = frozenset({"full", "fewer", "cold_start"})


class Recommender:
    """Serves one release.

    Features of items are kept in this process and follow the store; a request reads the shopper's rows alone. Where a
    dependency fails or is slow, a lower tier answers and says why: see :mod:`tastemaker.serving.pipeline` and
    :mod:`tastemaker.serving.lower_rungs`.

    Args:
        release_dir: of a trained release.
        reader: of the online store, with the release's plan or one that covers it.
        clock: the platform's.
        recipes: by surface; the built-in ones where absent.
        timed: whether lists have to be ready within their recipe's budget; offline they take as long as they take.
        ranker: in place of the release's.
        make_index: builds the index of item vectors.
        rules: the shop's, which follow their file; None for none.
        now_ns: a clock that only grows, for budgets.
        repeat_s: for how long a list may be given again to an identical request; 0 for never.
        stale_after_s: features of items that could not be refreshed for so long count as their defaults.

    Raises:
        ServingError: the release does not load, or was trained with other feature declarations than the store's.
    """

    def __init__(
        self,
        release_dir: Path,
        reader: FeatureReader,
        clock: Clock,
        *,
        recipes: Mapping[str, Recipe] | None = None,
        timed: bool = False,
        ranker: RankFunction | None = None,
        make_index: MakeIndex = VectorIndex,
        rules: RuleWatch | None = None,
        now_ns: Callable[[], int] = perf_counter_ns,
        repeat_s: float = 0.0,
        stale_after_s: float = 3_600.0,
    ) -> None:
        # Nothing in here refers back to the whole: what was replaced is freed at once, without the collector, which
        # does not look at what has served for long.
        whole = weakref.ref(self)
        self._release = release = read_by(load_release(release_dir), reader.plan)
        self.recipes: Mapping[str, Recipe] = load_recipes() if recipes is None else recipes
        self._reader, self._clock, self._timed, self._now_ns = reader, clock, timed, now_ns
        self._logged = (*release.layout.names, LIFT, DISCOUNT)
        self._refreshing = threading.Lock()
        self._items = ItemFeatures(reader, release, clock.now_us())
        self._stale_after_ns, self._refreshed_ns = round(stale_after_s * 1e9), now_ns()
        self._make_index = guarded(make_index)
        self._state = read_state(reader, release, None, clock.now_us(), make_index=self._make_index, items=self._items)
        self._items.follow(lambda: _alive(whole)._state.catalogue)
        self._parts = Parts(
            release,
            reader,
            ranker or release.ranker,
            self._items.read,
            Breakers.closed(now_ns),
            now_ns,
            RepeatedLists(round(repeat_s * 1e6)),
        )
        self._rules = ShopRules(rules, lambda: _alive(whole)._state)
        self._lists = CachedLists()
        self._static = {
            name: StaticList.of(self._state.catalogue, recipe.static, self._state.popularity)
            for name, recipe in self.recipes.items()
        }
        self._nobody = nobody(reader, release.signals, self._state.catalogue, clock.now_us())

    @property
    def release_id(self) -> str:
        """The release that it serves."""
        return self._release.release_id

    @property
    def breakers(self) -> Breakers:
        """The state of its dependencies."""
        return self._parts.breakers

    def knows_item(self, item_id: str) -> bool:
        """Whether the catalogue has the item, available or not."""
        catalogue = self._state.catalogue
        row = catalogue.row(item_id)
        return row >= 0 and catalogue.items[row] is not None

    def warm_up(self) -> None:
        """Run every stage once, so that no request pays for what happens only the first time.

        Nobody waits for these lists: that compilers make them late tells nothing of what they depend on.
        """
        state, now_us = self._state, self._clock.now_us()
        warm_up(self._parts, state, now_us)
        ids = state.catalogue.item_ids[:2]
        for request in trial_requests(self.recipes, ids[:1]):
            self._answer(self._order(request, timed=False))
        order = self._order(RecommendationRequest(session=VISIT), timed=False)
        known = GivenHistory(self._reader, trial_history(ids), now_us)
        self._answered(order, whole_list(replace(self._parts, reader=known), order))
        self._lists = CachedLists()  # nobody has asked for those
        self._parts.repeats.clear()

    def refresh(self) -> None:
        """Take in what changed of items, their features and popularity; requests meanwhile see the old state.

        Raises:
            StoreUnavailable: the online store does not answer; what is in process stays.
            DataError: the store was rebuilt for other declarations.
        """
        with self._refreshing:
            old = None if isinstance(self._state.sources.index, NoIndex) else self._state
            now_us = self._clock.now_us()
            self._items.refresh(now_us)
            self._state = read_state(
                self._reader, self._release, old, now_us, make_index=self._make_index, items=self._items
            )
        self._rules.refresh()
        self._refreshed_ns = self._now_ns()
        self._parts.breakers.online_store.try_again()

    def close(self) -> None:
        """Close this thread's connection to the online store."""
        self._reader.close()

    def recommend(self, request: RecommendationRequest) -> tuple[RecommendationResponse, ServedList]:
        """Make one list, and what is to be logged of it.

        Raises:
            ApiProblem: the request is not what its surface needs.
        """
        response, record = self.answer(request)
        return response, record.build()

    def answer(
        self, request: RecommendationRequest, waited_ms: float = 0.0
    ) -> tuple[RecommendationResponse, ListRecord]:
        """Make one list.

        Args:
            request: for whom and how many.
            waited_ms: how much of its budget is spent before it begins.

        Returns:
            The answer, and a record of which the log is made when there is time.

        Raises:
            ApiProblem: the request is not what its surface needs.
        """
        return self._answer(self._order(request, timed=self._timed, waited_ms=waited_ms))

    def _answer(self, order: Order) -> tuple[RecommendationResponse, ListRecord]:
        request = order.request
        try:
            made = whole_list(self._parts, order)
        except Unreachable as error:
            made = self._at_hand(order, str(error))
        except Exception as error:  # better a lower tier than an error; the log says what is to be mended
            _log.exception("a list of %s fails", request.surface)
            made = self._at_hand(order, f"the pipeline fails ({type(error).__name__})")
        if made.tier in _WORTH_KEEPING:
            self._lists.put(request, made.tier, made.candidates.rows, made.scores)
        return self._answered(order, made)

    def shed(self, request: RecommendationRequest, why: str) -> tuple[RecommendationResponse, ListRecord]:
        """Answer from what is at hand, without any dependency: for callers who cannot wait.

        Args:
            request: for whom and how many.
            why: why no higher tier answers.
        """
        order = self._order(request, timed=self._timed)
        return self._answered(order, self._at_hand(order, why))

    def _order(self, request: RecommendationRequest, *, timed: bool, waited_ms: float = 0.0) -> Order:
        recipe = check_request(request, self.recipes)
        state, now_us = self._state, self._clock.now_us()
        excluded = state.catalogue.rows(request.exclude) if request.exclude else NO_ROWS
        total_ms = max(0.0, recipe.budget.total - waited_ms) if timed else None
        too_old = self._now_ns() - self._refreshed_ns > self._stale_after_ns
        return Order(
            uuid.uuid4().hex,
            request,
            recipe,
            state,
            self._rules.at(request.surface, now_us),
            excluded[excluded >= 0],
            now_us,
            StageClock(total_ms, self._now_ns),
            stale=self._items.views if too_old else (),
            timed=timed,
        )

    def _at_hand(self, order: Order, why: str) -> Made:
        made = list_at_hand(order, self._nobody, self._lists, self._static[order.recipe.surface], why)
        return reranked(order, made, None)

    def _answered(self, order: Order, made: Made) -> tuple[RecommendationResponse, ListRecord]:
        request, clock = order.request, order.clock
        explained = clock.run(
            "explain",
            explain,
            ExplainInput(
                made.candidates,
                made.scores,
                made.features,
                made.lift,
                made.shopper,
                order.state.sources,
                self._release.signals,
                request.k if made.listed is None else made.listed.listed,
                self._logged if request.explain else None,
            ),
        )
        response = RecommendationResponse(
            request_id=order.request_id,
            release=self.release_id,
            tier=made.tier,
            tier_reason=made.why,
            items=explained.items,
            unknown_items=made.unknown_items,
            stale=order.stale if len(made.features) else (),
            repeated=made.kept == "hit",
        )
        record = clock.run(
            "log",
            keep,
            LogInput(
                request,
                response,
                made,
                self._logged,
                order.state.catalogue.item_ids,
                order.recipe,
                self._release.retrieval.catalogue.vectors,
                order.now_us,
                clock,
            ),
        )
        return response, record


def _alive(whole: "weakref.ref[Recommender]") -> Recommender:
    recommender = whole()
    assert recommender is not None, "it calls for this itself"
    return recommender
