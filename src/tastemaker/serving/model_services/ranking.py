"""Ranking alone: from a shopper and some items to the items in order."""

from dataclasses import replace

import numpy as np

from tastemaker.retrieval.blend import Blend
from tastemaker.retrieval.source import NO_CANDIDATES, Query, Retrieved
from tastemaker.serving.contract import Tier
from tastemaker.serving.making import Order, Unreachable
from tastemaker.serving.model_services.contract import RankedItem, RankedItems, RankingRequest, ToRank
from tastemaker.serving.model_services.shop import ModelShop
from tastemaker.serving.pipeline import from_store, ranked_candidates
from tastemaker.serving.problems import ApiProblem
from tastemaker.serving.recipe import SOURCES
from tastemaker.serving.requests import check_request
from tastemaker.serving.stages.context import Asked
from tastemaker.serving.stages.features import FeaturesInput, ShopperFeatures, shopper_features
from tastemaker.serving.warm_up import trial_askings, warm_up

__all__ = ["RankingModel", "no_index"]

_TIERS: tuple[Tier, ...] = ("full", "cold_start", "fewer", "unranked", "cached", "popular", "static", "degraded")


class _Nothing:
    """A source without candidates."""

    name = "two_tower"

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """Nothing."""
        return NO_CANDIDATES


def no_index(vectors: np.ndarray, servable: np.ndarray) -> _Nothing:
    """In place of an index of vectors, which ranking does not search."""
    return _Nothing()


class RankingModel:
    """The stages context, features and ranking of the recommender.

    Args:
        shop: release and online store.
    """

    def __init__(self, shop: ModelShop) -> None:
        self._shop = shop

    @property
    def release_id(self) -> str:
        """The release that it serves."""
        return self._shop.release.release_id

    def refresh(self) -> None:
        """Take in items that are new or changed."""
        self._shop.refresh()

    def warm_up(self) -> None:
        """Do what only the first requests would otherwise pay for."""
        state = self._shop.state
        warm_up(self._shop.parts, state, self._shop.clock.now_us())
        items = tuple(ToRank(item_id=item_id) for item_id in state.catalogue.item_ids[:2])
        for asked in trial_askings(self._shop.recipes, state.catalogue.item_ids):
            request = RankingRequest(candidates=items, **asked)
            self._answer(request, replace(self._shop.order(request.as_list()), timed=False))

    def check(self, request: RankingRequest, where: str = "") -> None:
        """Check what only recipes and sources know.

        Raises:
            ApiProblem: 422, naming the unknown surface or source, or what the surface needs.
        """
        check_request(request.as_list(), self._shop.recipes, where)
        known = set(SOURCES)
        for place, item in enumerate(request.candidates):
            if not known.issuperset(item.sources):
                (unknown, *_) = sorted(item.sources.keys() - known)
                raise ApiProblem(
                    422,
                    f"{where}candidates[{place}].sources",
                    f"unknown source {unknown!r}",
                    f"use any of: {', '.join(SOURCES)}",
                )

    def answer(self, request: RankingRequest) -> RankedItems:
        """Put items in order.

        Raises:
            ApiProblem: the request is not what its surface needs.
        """
        return self._answer(request, self._shop.order(request.as_list()))

    def _answer(self, request: RankingRequest, order: Order) -> RankedItems:
        shop = self._shop
        candidates, unknown = _blend(request, order)
        asked, why = shop.ask(order, request, last="features" not in order.recipe.stages)
        features = ShopperFeatures(asked.shopper, {})
        if asked.shopper.known and "features" in order.recipe.stages:
            features, why = self._features(order, asked)
        known = asked.shopper.known and not why
        asks_ranker = {"ranking"} <= set(order.recipe.stages) and "ranker" in order.recipe.order
        breaker = shop.parts.breakers.ranker
        if known and asks_ranker and not breaker.allows():
            why = breaker.why
        ranked, why_failed = ranked_candidates(
            shop.parts, order, candidates, features, known and asks_ranker and not why
        )
        tier, reason = _tier(request, known, why or why_failed)
        item_ids, rows = order.state.catalogue.item_ids, ranked.candidates.rows[: request.k]
        return RankedItems(
            request_id=request.request_id or order.request_id,
            release=self.release_id,
            tier=tier,
            tier_reason=reason,
            items=tuple(
                RankedItem(item_id=item_ids[row], score=score)
                for row, score in zip(rows.tolist(), ranked.scores[: request.k].tolist(), strict=True)
            ),
            unknown_items=tuple(dict.fromkeys((*request.unknown_items, *asked.unknown_items, *unknown))),
            retrieved_by=request.release if request.release not in {"", self.release_id} else "",
        )

    def _features(self, order: Order, asked: Asked) -> tuple[ShopperFeatures, str]:
        shop = self._shop
        given = FeaturesInput(
            asked.shopper,
            shop.release.retrieval.queries,
            order.state.catalogue,
            asked.reader,
            shop.release.layout,
            order.now_us,
        )
        try:
            read = from_store(
                shop.parts, order, lambda: order.clock.run("features", shopper_features, given), last=True
            )
        except Unreachable as error:
            return ShopperFeatures(asked.shopper, {}), str(error)
        return read, ""


def _blend(request: RankingRequest, order: Order) -> tuple[Blend, list[str]]:
    """The items as candidates, each once, and the ids that the catalogue does not have."""
    catalogue = order.state.catalogue
    found = {item.item_id: item.sources for item in reversed(request.candidates)}
    ids = [item_id for item_id in dict.fromkeys(item.item_id for item in request.candidates)]
    rows = catalogue.rows(ids)
    known = rows >= 0
    known[known] = catalogue.present[rows[known]]
    sources = tuple(name for name in SOURCES if any(name in own for own in found.values()))
    scores = np.full((len(ids), len(sources)), np.nan, dtype=np.float32)
    for place, item_id in enumerate(ids):
        for name, score in found[item_id].items():
            scores[place, sources.index(name)] = score
    unknown = [ids[place] for place in np.flatnonzero(~known).tolist()]
    return Blend(rows[known], scores[known], sources, {}), unknown


def _tier(request: RankingRequest, known: bool, why: str) -> tuple[Tier, str]:
    """The ranking's tier, or that of the candidates where it is lower."""
    own: tuple[Tier, str] = ("full", "")
    if why:
        own = "unranked", f"{why}: in the order of the request"
    elif not known:
        own = "cold_start", "nothing is known of the shopper: in the order of the request"
    lower = _TIERS.index(request.tier) > _TIERS.index(own[0])
    return (request.tier, request.tier_reason) if lower else own
