"""The recommender: one release, one online store, and the stages of each surface's recipe. One process, no network."""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter_ns
from typing import Final

import numpy as np

from tastemaker import names
from tastemaker.clock import Clock
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.resident import ResidentMatrix
from tastemaker.retrieval.index import VectorIndex
from tastemaker.retrieval.source import NO_ROWS
from tastemaker.serving.at_hand import CachedLists, StaticList
from tastemaker.serving.breaker import CircuitBreaker
from tastemaker.serving.candidates import MakeIndex
from tastemaker.serving.context import read_shopper
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse, ServedList
from tastemaker.serving.index_guard import NoIndex, guarded
from tastemaker.serving.lower_rungs import list_at_hand
from tastemaker.serving.making import Breakers, Made, Order, Parts, Unreachable
from tastemaker.serving.pipeline import whole_list
from tastemaker.serving.ranking import RankFunction, features_by_view
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.recipes import load_recipes
from tastemaker.serving.records import ListRecord
from tastemaker.serving.release import load_release, read_by
from tastemaker.serving.relisting import reranked
from tastemaker.serving.replay.trace import DISCOUNT, LIFT
from tastemaker.serving.requests import check_request, trial_requests
from tastemaker.serving.rerank import rerank
from tastemaker.serving.rerank.rule_watch import RuleWatch
from tastemaker.serving.shop_rules import ShopRules
from tastemaker.serving.shop_state import read_state
from tastemaker.serving.stages.explain import ExplainInput, explain
from tastemaker.serving.stages.log import LogInput, keep
from tastemaker.serving.stages.runner import StageClock

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
        stale_after_s: float = 3_600.0,
    ) -> None:
        self._release = release = read_by(load_release(release_dir), reader.plan)
        self.recipes: Mapping[str, Recipe] = load_recipes() if recipes is None else recipes
        self._reader, self._clock, self._timed, self._now_ns = reader, clock, timed, now_ns
        self._logged = (*release.layout.names, LIFT, DISCOUNT)
        self._refreshing = threading.Lock()
        self._items, self._item_views = self._keep_items()
        self._stale_after_ns, self._refreshed_ns = round(stale_after_s * 1e9), now_ns()
        self._make_index = guarded(make_index)
        self._state = read_state(reader, release, None, clock.now_us(), self._make_index)
        self._parts = Parts(
            release,
            reader,
            ranker or release.ranker,
            self._items.matrix,
            Breakers(
                # A refresh looks at the store twice a second, and closes it when it is well.
                CircuitBreaker("online store", retry_s=None),
                CircuitBreaker("index", clock=lambda: now_ns() / 1e9),
                CircuitBreaker("ranker", clock=lambda: now_ns() / 1e9),
            ),
            now_ns,
        )
        self._rules = ShopRules(rules, lambda: self._state)
        self._lists = CachedLists()
        self._static = {
            name: StaticList.of(self._state.catalogue, recipe.static, self._state.popularity)
            for name, recipe in self.recipes.items()
        }
        self._nobody = read_shopper(
            reader,
            release.signals,
            self._state.catalogue,
            user=None,
            session=None,
            now_us=clock.now_us(),
            intent=release.card.parameters.intent,
        )

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
        """Run every stage once, so that no request pays for what happens only the first time."""
        state = self._state
        history = (np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
        if len(state.catalogue):
            self._release.retrieval.queries([history], 1, state.catalogue.vectors)
            rerank.warm_up(state.catalogue.vectors.shape[1])
        self._parts.ranker(np.zeros((1, len(self._release.layout.names)), dtype=np.float32))
        now_us = self._clock.now_us()
        for view in self._reader.plan.views:
            if view.kind == "aggregate":  # compiles what reads, or loads it
                numeric = [feature.name for feature in view.features if feature.is_numeric]
                self._reader.matrix(view.name, [("warm-up",) * len(view.join_keys)], now_us, numeric)
        for request in trial_requests(self.recipes, state.catalogue.item_ids[:1]):
            self.answer(request)
        self._lists = CachedLists()  # nobody has asked for those

    def refresh(self) -> None:
        """Take in what changed of items, their features and popularity; requests meanwhile see the old state.

        Raises:
            StoreUnavailable: the online store does not answer; what is in process stays.
            DataError: the store was rebuilt for other declarations.
        """
        with self._refreshing:
            old = None if isinstance(self._state.sources.index, NoIndex) else self._state
            self._state = read_state(self._reader, self._release, old, self._clock.now_us(), self._make_index)
        while not self._items.refresh(self._clock.now_us()):
            pass
        self._rules.refresh()
        self._refreshed_ns = self._now_ns()
        self._parts.breakers.online_store.close()

    def _keep_items(self) -> tuple[ResidentMatrix, tuple[str, ...]]:
        """The ranker's features of all items, in this process: they are read by the hundred for each list."""
        plan = self._reader.plan
        wanted = {
            view: features
            for view, features in features_by_view(self._release.layout).items()
            if plan.view(view).entities == (names.ENTITY_ITEM,)
        }
        return ResidentMatrix(self._reader.store, plan, wanted, self._clock.now_us()), tuple(wanted)

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
        order = self._order(request, waited_ms)
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
        order = self._order(request, 0.0)
        return self._answered(order, self._at_hand(order, why))

    def _order(self, request: RecommendationRequest, waited_ms: float) -> Order:
        recipe = check_request(request, self.recipes)
        state, now_us = self._state, self._clock.now_us()
        excluded = state.catalogue.rows(request.exclude) if request.exclude else NO_ROWS
        total_ms = max(0.0, recipe.budget.total - waited_ms) if self._timed else None
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
            stale=self._item_views if too_old else (),
            timed=self._timed,
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
