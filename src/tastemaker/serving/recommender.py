"""The recommender: request → context → candidates → ranking → list, with reasons. One process, no network."""

import threading
import uuid
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from pathlib import Path
from time import perf_counter_ns

import msgspec
import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.clock import Clock, from_us
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.reading.resident import ResidentMatrix
from tastemaker.release.ranking_features import ranking_matrix
from tastemaker.retrieval.blend import Blend
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.candidates import NO_ROWS, CandidateSources, find_candidates, popular
from tastemaker.serving.context import ShopperContext, encode_queries, read_shopper
from tastemaker.serving.contract import (
    Candidate,
    RecommendationRequest,
    RecommendationResponse,
    RecommendedItem,
    ServedList,
    Tier,
)
from tastemaker.serving.intent import Lift, lift
from tastemaker.serving.ranking import features_by_view, read_stored
from tastemaker.serving.reasons import Explainer
from tastemaker.serving.release import load_release, read_by

__all__ = ["INTENT_LIFT", "Recommender"]

# Logged beside the ranker's features: a score is the ranker's answer to those, plus this.
INTENT_LIFT = "intent_lift"

# Windows decay without an event: popularity is read again after so long, changed or not.
_POPULARITY_US = 300_000_000
_NO_FEATURES = np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _State:
    """What a request sees from begin to end; a refresh swaps it as a whole."""

    catalogue: Catalogue
    sources: CandidateSources
    popularity: npt.NDArray[np.float32]
    items_rev: int
    activity_rev: int
    popularity_us: int


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Candidates, best first."""

    tier: Tier
    tier_reason: str
    candidates: Blend
    scores: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]  # of the ranker, and what intent added
    lift: Lift | None
    removed: dict[str, int]


class Recommender:
    """Serves one release.

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
        self._state = self._read_state(None)

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
        self.recommend(RecommendationRequest(user="warm-up", session="warm-up"))

    def refresh(self) -> None:
        """Take in items and popularity that changed; requests meanwhile are answered with the old state."""
        with self._refreshing:
            self._state = self._read_state(self._state)
        while not self._items.refresh(self._clock.now_us()):
            pass

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
        context = read_shopper(
            self._reader,
            self._release.signals,
            catalogue,
            user=request.user,
            session=request.session,
            now_us=now_us,
            intent=self._release.card.parameters.intent,
        )
        if context.known:
            (context,) = encode_queries([context], self._release.retrieval.queries, catalogue, now_us)
            ranked = self._rank(state, context, excluded, request.k, now_us)
        else:
            ranked = self._cold_start(state, context, excluded, request)
        explainer = Explainer(
            context, ranked.candidates, ranked.lift, catalogue, state.sources.covisitation, self._release.signals
        )
        shown = range(min(request.k, len(ranked.candidates.rows)))
        items = tuple(self._item(place, ranked, explainer, catalogue, request.explain) for place in shown)
        response = RecommendationResponse(
            request_id=uuid.uuid4().hex,
            release=self.release_id,
            tier=ranked.tier,
            tier_reason=ranked.tier_reason,
            items=items,
        )
        served = self._served(request, response, ranked, catalogue, served_at=from_us(now_us))
        return response, msgspec.structs.replace(served, latency_us=(perf_counter_ns() - begun) // 1_000)

    def _rank(
        self, state: _State, context: ShopperContext, excluded: npt.NDArray[np.int64], k: int, now_us: int
    ) -> _Ranked:
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
        return _Ranked("full", "", candidates.take(order), scores[order], logged[order], lifted.take(order), removed)

    def _cold_start(
        self,
        state: _State,
        context: ShopperContext,
        excluded: npt.NDArray[np.int64],
        request: RecommendationRequest,
    ) -> _Ranked:
        asked = [f"user {request.user!r}"] * bool(request.user) + [f"session {request.session!r}"] * bool(
            request.session
        )
        reason = f"nothing is known yet of {' and '.join(asked)}" if asked else "no user and no session was given"
        candidates, removed = popular(state.sources, context.query, state.catalogue, excluded, request.k)
        scores = state.sources.trending.scores[candidates.rows]
        return _Ranked(
            "cold_start", f"{reason}: popular items instead", candidates, scores, _NO_FEATURES, None, removed
        )

    def _item(
        self, place: int, ranked: _Ranked, explainer: Explainer, catalogue: Catalogue, explain: bool
    ) -> RecommendedItem:
        item = catalogue.items[int(ranked.candidates.rows[place])]
        assert item is not None, "the rules keep what is in the catalogue"
        source = explainer.source(place)
        details = None
        if explain:
            details = _by_source(ranked.candidates, place, prefix="source.")
            if len(ranked.features):
                details |= dict(zip(self._logged, _plain(ranked.features[place]), strict=True))
        return RecommendedItem(
            item_id=item.item_id,
            title=item.title,
            score=float(ranked.scores[place]),
            source=source,
            reason=explainer.reason(place, source),
            price=item.price,
            category=item.category,
            details=details,
        )

    def _served(
        self,
        request: RecommendationRequest,
        response: RecommendationResponse,
        ranked: _Ranked,
        catalogue: Catalogue,
        *,
        served_at: datetime,
    ) -> ServedList:
        ids = [catalogue.item_ids[row] for row in ranked.candidates.rows.tolist()]
        shown = [item.item_id for item in response.items]
        with_features = bool(len(ranked.features))
        return ServedList(
            request_id=response.request_id,
            served_at=served_at,
            request=request,
            release=response.release,
            tier=response.tier,
            candidates=tuple(
                Candidate(item_id=item_id, sources=_by_source(ranked.candidates, place), score=score)
                for place, (item_id, score) in enumerate(zip(ids, ranked.scores.tolist(), strict=True))
            ),
            features={item_id: tuple(_plain(ranked.features[place])) for place, item_id in enumerate(shown)}
            if with_features
            else {},
            feature_names=self._logged if with_features else (),
            rules=ranked.removed,
            items=tuple(shown),
            propensities=(1.0,) * len(shown),
        )

    def _read_state(self, old: _State | None) -> _State:
        release, now_us = self._release, self._clock.now_us()
        before = old.catalogue if old else release.retrieval.catalogue
        items_rev, changes = self._reader.items_changed(old.items_rev if old else 0)
        catalogue = before.updated(changes, release.retrieval.items)
        activity_rev, keys = self._reader.changed(names.VIEW_ITEM_ACTIVITY, old.activity_rev if old else 0)
        stale = old is None or now_us - old.popularity_us >= _POPULARITY_US
        if old is not None and catalogue is before and not keys and not stale:
            return old
        popularity = np.zeros(len(catalogue), dtype=np.float32)
        if old is None or stale:
            wanted = np.arange(len(catalogue))
        else:
            popularity[: len(old.popularity)] = old.popularity
            touched = catalogue.rows(key for key in keys if isinstance(key, str))
            wanted = np.unique(np.concatenate([touched[touched >= 0], np.arange(len(before), len(catalogue))]))
        if len(wanted):
            ids = [catalogue.item_ids[row] for row in wanted.tolist()]
            trend = self._reader.plan.view(names.VIEW_ITEM_ACTIVITY).feature_names[release.signals.trend]
            popularity[wanted] = self._reader.matrix(names.VIEW_ITEM_ACTIVITY, ids, now_us, [trend])[:, 0]
        sources = CandidateSources.over(catalogue, release.retrieval.covisitation, popularity)
        popularity_us = now_us if old is None or stale else old.popularity_us
        return _State(catalogue, sources, popularity, items_rev, activity_rev, popularity_us)


def _by_source(candidates: Blend, place: int, prefix: str = "") -> dict[str, float]:
    pairs = zip(candidates.sources, candidates.scores[place].tolist(), strict=True)
    return {prefix + name: score for name, score in pairs if not isnan(score)}


def _plain(values: npt.NDArray[np.float32]) -> list[float]:
    """Values that JSON can carry: what is not known is 0."""
    plain: list[float] = np.nan_to_num(values, nan=0.0).tolist()
    return plain
