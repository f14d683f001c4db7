"""The recommender: request → context → candidates → ranking → list, with reasons. One process, no network."""

import logging
import threading
import uuid
from pathlib import Path
from time import perf_counter_ns

import msgspec
import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.clock import Clock, from_us
from tastemaker.features.plan import ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.resident import ResidentMatrix
from tastemaker.features.stores.protocol import StoreUnavailable
from tastemaker.release.ranking_features import ranking_matrix
from tastemaker.serving.answers import Ranked, served_list, shown_item
from tastemaker.serving.candidates import NO_ROWS, find_candidates, popular
from tastemaker.serving.context import ShopperContext, encode_queries, read_shopper
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse, ServedList, Tier
from tastemaker.serving.intent import lift
from tastemaker.serving.ranking import features_by_view, read_stored
from tastemaker.serving.reasons import Explainer
from tastemaker.serving.release import load_release, read_by
from tastemaker.serving.shop_state import ShopState, read_state

__all__ = ["INTENT_LIFT", "Recommender"]

_log = logging.getLogger(__name__)

# Logged beside the ranker's features: a score is the ranker's answer to those, plus this.
INTENT_LIFT = "intent_lift"

_NO_FEATURES = np.zeros((0, 0), dtype=np.float32)


class Recommender:
    """Serves one release.

    Features of items are kept in this process and follow the store; a request reads the shopper's rows alone. While
    the store does not answer, lists are made of what is in process, and their tier is ``degraded``.

    Args:
        release_dir: of a trained release.
        reader: of the online store, with the release's plan or one that covers it.
        clock: the platform's.

    Raises:
        ServingError: the release does not load, or was trained with other feature declarations than the store's.
    """

    def __init__(self, release_dir: Path, reader: FeatureReader, clock: Clock) -> None:
        self._release = release = read_by(load_release(release_dir), reader.plan)
        self._reader, self._clock = reader, clock
        self._logged = (*release.layout.names, INTENT_LIFT)
        self._refreshing = threading.Lock()
        self._items = self._keep_items()
        self._state = read_state(reader, release, None, clock.now_us())
        # Why the online store does not answer; empty while it does, as far as the last read knows.
        self._unavailable = ""

    @property
    def release_id(self) -> str:
        """The release that it serves."""
        return self._release.release_id

    def knows_item(self, item_id: str) -> bool:
        """Whether the catalogue has the item, available or not."""
        catalogue = self._state.catalogue
        row = catalogue.row_of.get(item_id, -1)
        return row >= 0 and catalogue.items[row] is not None

    def warm_up(self) -> None:
        """Run every stage once, so that no request pays for what happens only the first time."""
        state = self._state
        history = (np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
        if len(state.catalogue):
            self._release.retrieval.queries([history], 1, state.catalogue.vectors)
        self._release.ranker(np.zeros((1, len(self._release.layout.names)), dtype=np.float32))
        now_us = self._clock.now_us()
        for view in self._reader.plan.views:
            if view.kind == "aggregate":  # compiles what reads, or loads it
                self._reader.matrix(view.name, [("warm-up",) * len(view.join_keys)], now_us, _numeric(view))
        self.recommend(RecommendationRequest(user="warm-up", session="warm-up"))

    def refresh(self) -> None:
        """Take in what changed of items, their features and popularity; requests meanwhile see the old state.

        Raises:
            StoreUnavailable: the online store does not answer; what is in process stays.
            DataError: the store was rebuilt for other declarations.
        """
        with self._refreshing:
            self._state = read_state(self._reader, self._release, self._state, self._clock.now_us())
        while not self._items.refresh(self._clock.now_us()):
            pass
        self._unavailable = ""

    def _keep_items(self) -> ResidentMatrix:
        """The ranker's features of all items, in this process: they are read by the hundred for each list."""
        plan = self._reader.plan
        wanted = {
            view: features
            for view, features in features_by_view(self._release.layout).items()
            if plan.view(view).entities == (names.ENTITY_ITEM,)
        }
        return ResidentMatrix(self._reader.store, plan, wanted, self._clock.now_us())

    def recommend(self, request: RecommendationRequest) -> tuple[RecommendationResponse, ServedList]:
        """Make one list.

        Args:
            request: for whom and how many.

        Returns:
            The answer, and what is to be logged of it.
        """
        begun = perf_counter_ns()
        state, now_us = self._state, self._clock.now_us()
        catalogue = state.catalogue
        excluded = catalogue.rows(request.exclude) if request.exclude else NO_ROWS
        excluded = excluded[excluded >= 0]
        context, ranked = self._answer(state, request, excluded, now_us)
        explainer = Explainer(
            context, ranked.candidates, ranked.lift, catalogue, state.sources.covisitation, self._release.signals
        )
        shown = range(min(request.k, len(ranked.candidates.rows)))
        items = tuple(
            shown_item(place, ranked, explainer, catalogue, self._logged if request.explain else None)
            for place in shown
        )
        response = RecommendationResponse(
            request_id=uuid.uuid4().hex,
            release=self.release_id,
            tier=ranked.tier,
            tier_reason=ranked.tier_reason,
            items=items,
        )
        served = served_list(
            request,
            response,
            ranked,
            item_ids=[catalogue.item_ids[row] for row in ranked.candidates.rows.tolist()],
            names=self._logged,
            histories=context.histories,
            served_at=from_us(now_us),
        )
        return response, msgspec.structs.replace(served, latency_us=(perf_counter_ns() - begun) // 1_000)

    def _answer(
        self, state: ShopState, request: RecommendationRequest, excluded: npt.NDArray[np.int64], now_us: int
    ) -> tuple[ShopperContext, Ranked]:
        """The best tier that can answer.

        Once the store has failed, no request waits for it again until :meth:`refresh` has found it well.
        """
        if not self._unavailable:
            try:
                context = self._read_shopper(state, request.user, request.session, now_us)
                if not context.known:
                    return context, self._popular(
                        state, context, excluded, request.k, "cold_start", _unknown(request.user, request.session)
                    )
                (context,) = encode_queries([context], self._release.retrieval.queries, state.catalogue, now_us)
                return context, self._rank(state, context, excluded, request.k, now_us)
            except StoreUnavailable as error:
                self._unavailable = str(error)
                _log.warning("lists are made of what is in process: %s", error)
        nobody = self._read_shopper(state, None, None, now_us)  # reads nothing
        why = "the online store does not answer, so nothing is known of any shopper"
        return nobody, self._popular(state, nobody, excluded, request.k, "degraded", why)

    def _read_shopper(self, state: ShopState, user: str | None, session: str | None, now_us: int) -> ShopperContext:
        return read_shopper(
            self._reader,
            self._release.signals,
            state.catalogue,
            user=user,
            session=session,
            now_us=now_us,
            intent=self._release.card.parameters.intent,
        )

    def _rank(
        self, state: ShopState, context: ShopperContext, excluded: npt.NDArray[np.int64], k: int, now_us: int
    ) -> Ranked:
        release, catalogue = self._release, state.catalogue
        candidates, removed = find_candidates(
            state.sources, release.card.parameters.retrieval, context.query, catalogue, excluded=excluded, at_least=k
        )
        item_ids = [catalogue.item_ids[row] for row in candidates.rows.tolist()]
        features = ranking_matrix(
            read_stored(
                self._reader,
                release.layout,
                context,
                rows=candidates.rows,
                item_ids=item_ids,
                now_us=now_us,
                read_items=self._items.matrix,
            ),
            context.query,
            candidates,
            catalogue=catalogue,
            covisitation=state.sources.covisitation,
            trending=state.sources.trending,
            now_us=now_us,
        )
        scores = release.ranker(features)
        lifted = lift(
            scores,
            candidates.rows,
            context.query,
            catalogue=catalogue,
            covisitation=state.sources.covisitation,
            parameters=release.card.parameters.intent,
        )
        scores = scores + lifted.added
        order = np.lexsort((candidates.rows, -scores))
        logged = np.concatenate([features, lifted.added[:, None]], axis=1)
        return Ranked("full", "", candidates.take(order), scores[order], logged[order], lifted.take(order), removed)

    @staticmethod
    def _popular(  # noqa: PLR0917 - what a list is made of
        state: ShopState,
        context: ShopperContext,
        excluded: npt.NDArray[np.int64],
        k: int,
        tier: Tier,
        why: str,
    ) -> Ranked:
        candidates, removed = popular(state.sources, context.query, state.catalogue, excluded, k)
        scores = state.sources.trending.scores[candidates.rows]
        return Ranked(tier, f"{why}: popular items instead", candidates, scores, _NO_FEATURES, None, removed)


def _unknown(user: str | None, session: str | None) -> str:
    """Why a list is for nobody in particular."""
    asked = [f"user {user!r}"] * bool(user) + [f"session {session!r}"] * bool(session)
    return f"nothing is known yet of {' and '.join(asked)}" if asked else "no user and no session was given"


def _numeric(view: ViewPlan) -> list[str]:
    return [feature.name for feature in view.features if feature.is_numeric]
