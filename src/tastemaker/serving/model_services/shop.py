"""What both models are made of: a release, the shop as the online store has it, and one request's view of them."""

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter_ns

from tastemaker.clock import Clock
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.retrieval.index import VectorIndex
from tastemaker.retrieval.source import NO_ROWS
from tastemaker.serving.candidates import MakeIndex
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.index_guard import NoIndex, guarded
from tastemaker.serving.item_features import ItemFeatures
from tastemaker.serving.making import Breakers, Order, Parts, Unreachable
from tastemaker.serving.model_services.contract import Asking
from tastemaker.serving.model_services.given_history import VISIT, GivenHistory
from tastemaker.serving.pipeline import from_store
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.recipes import load_recipes
from tastemaker.serving.release import load_release, read_by
from tastemaker.serving.repeats import RepeatedLists
from tastemaker.serving.requests import check_request
from tastemaker.serving.shop_rules import ShopRules
from tastemaker.serving.shop_state import ShopState, read_state
from tastemaker.serving.stages.context import Asked, ContextInput, asked_for
from tastemaker.serving.stages.runner import StageClock

__all__ = ["ModelShop"]


class ModelShop:
    """The release and the shop of one model.

    Args:
        release_dir: of a trained release.
        reader: of the online store, with the release's plan or one that covers it.
        clock: the platform's.
        recipes: by surface; the built-in ones where absent.
        make_index: builds the index of item vectors.
        keep_items: whether the ranker's features of all items are kept in process.
        timed: whether slow calls of a dependency count as failures.
        now_ns: a clock that only grows.

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
        make_index: MakeIndex = VectorIndex,
        keep_items: bool = False,
        timed: bool = False,
        now_ns: Callable[[], int] = perf_counter_ns,
    ) -> None:
        self.release = release = read_by(load_release(release_dir), reader.plan)
        self.recipes: Mapping[str, Recipe] = load_recipes() if recipes is None else recipes
        self.reader, self.clock = reader, clock
        self._timed, self._now_ns = timed, now_ns
        self._make_index = guarded(make_index)
        self._items = ItemFeatures(reader, release, clock.now_us(), ranked=keep_items)
        self.state = self._read_state(None)
        self._items.follow(lambda: self.state.catalogue)
        self._rules = ShopRules(None, lambda: self.state)
        self.parts = Parts(
            release,
            reader,
            release.ranker,
            self._items.read,
            Breakers.closed(now_ns),
            now_ns,
            RepeatedLists(0),
        )

    def _read_state(self, old: ShopState | None) -> ShopState:
        now_us = self.clock.now_us()
        return read_state(self.reader, self.release, old, now_us, make_index=self._make_index, items=self._items)

    def refresh(self) -> None:
        """Take in what changed of items; requests meanwhile see the old state.

        Raises:
            StoreUnavailable: the online store does not answer; what is in process stays.
            DataError: the store was rebuilt for other declarations.
        """
        old = None if isinstance(self.state.sources.index, NoIndex) else self.state
        self._items.refresh(self.clock.now_us())
        self.state = self._read_state(old)
        self._rules.refresh()
        self.parts.breakers.online_store.try_again()

    def order(self, request: RecommendationRequest, limit: int | None = None) -> Order:
        """What one request is answered from.

        Args:
            request: the list that it is for.
            limit: candidates; the recipe's where it is None.

        Raises:
            ApiProblem: 422, the request is not what its surface needs.
        """
        recipe = check_request(request, self.recipes)
        if limit is not None:
            recipe = recipe.model_copy(update={"limit": limit})
        state, now_us = self.state, self.clock.now_us()
        excluded = state.catalogue.rows(request.exclude) if request.exclude else NO_ROWS
        return Order(
            uuid.uuid4().hex,
            request,
            recipe,
            state,
            self._rules.at(request.surface, now_us),
            excluded[excluded >= 0],
            now_us,
            StageClock(None, self._now_ns),
            timed=self._timed,
        )

    def ask(self, order: Order, asking: Asking, *, last: bool) -> tuple[Asked, str]:
        """Who asks.

        Args:
            order: of the request.
            asking: the request.
            last: whether nothing else is read from the online store for it.

        Returns:
            What is known of them, and why that is nothing where the online store does not answer.
        """
        reader, request = self.reader, order.request
        if asking.history is not None:
            reader = GivenHistory(self.reader, asking.history, order.now_us)
            request = RecommendationRequest(
                user=request.user, session=request.session or VISIT, items=request.items, category=request.category
            )
        given = ContextInput(
            request,
            order.recipe,
            reader,
            self.release.signals,
            order.state.catalogue,
            self.release.card.parameters.intent,
            order.now_us,
            () if last else self.parts.user_views,
        )
        try:
            asked = from_store(self.parts, order, lambda: order.clock.run("context", asked_for, given), last=last)
        except Unreachable as error:
            asked = asked_for(
                ContextInput(
                    request,
                    order.recipe,
                    reader,
                    self.release.signals,
                    order.state.catalogue,
                    given.intent,
                    order.now_us,
                    anonymous=True,
                )
            )
            return asked, str(error)
        if asking.history is None:
            return asked, ""
        row = order.state.catalogue.row
        unknown = [event.item_id for event in asking.history if row(event.item_id) < 0]
        every = tuple(dict.fromkeys([*asked.unknown_items, *unknown]))
        return Asked(asked.shopper, every, asked.reader), ""
