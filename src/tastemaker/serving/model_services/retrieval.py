"""Retrieval alone: from a shopper to the candidates of all sources, within the rules."""

from dataclasses import replace

import numpy as np

from tastemaker.retrieval.blend import Blend
from tastemaker.serving.context import encode_queries
from tastemaker.serving.contract import Candidate, Tier
from tastemaker.serving.making import Order
from tastemaker.serving.model_services.contract import Asking, RetrievalRequest, RetrievedCandidates
from tastemaker.serving.model_services.shop import ModelShop
from tastemaker.serving.pipeline import filtered_candidates
from tastemaker.serving.requests import check_request
from tastemaker.serving.warm_up import trial_askings, warm_up

__all__ = ["RetrievalModel"]


class RetrievalModel:
    """The stages context, features (of which the query tower), candidates and filtering of the recommender.

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
        for asked in trial_askings(self._shop.recipes, state.catalogue.item_ids):
            request = RetrievalRequest(**asked)
            self._answer(request, replace(self._shop.order(request.as_list()), timed=False))

    def check(self, request: RetrievalRequest, where: str = "") -> None:
        """Check what only recipes know.

        Raises:
            ApiProblem: 422, naming the unknown surface, or what the surface needs.
        """
        check_request(request.as_list(), self._shop.recipes, where)

    def answer(self, request: RetrievalRequest) -> RetrievedCandidates:
        """Find candidates.

        Raises:
            ApiProblem: the request is not what its surface needs.
        """
        return self._answer(request, self._shop.order(request.as_list(), request.limit))

    def _answer(self, request: RetrievalRequest, order: Order) -> RetrievedCandidates:
        shop = self._shop
        asked, why_unknown = shop.ask(order, request, last=True)
        shopper, catalogue = asked.shopper, order.state.catalogue
        if shopper.known:
            (shopper,) = encode_queries([shopper], shop.release.retrieval.queries, catalogue, order.now_us)
        kept, why_fewer = filtered_candidates(shop.parts, order, shopper, short=False)
        tier, why = _tier(order, shopper.known, why_unknown, why_fewer)
        return RetrievedCandidates(
            **{name: getattr(request, name) for name in Asking.__struct_fields__},
            request_id=order.request_id,
            release=self.release_id,
            tier=tier,
            tier_reason=why,
            candidates=_candidates(kept.candidates, catalogue.item_ids),
            unknown_items=asked.unknown_items,
        )


def _tier(order: Order, known: bool, why_unknown: str, why_fewer: str) -> tuple[Tier, str]:
    if why_unknown:
        return "popular", f"{why_unknown}: candidates for nobody in particular"
    if why_fewer:
        return "fewer", why_fewer
    if known:
        return "full", ""
    return "cold_start", "nothing is known of the shopper: candidates for nobody in particular"


def _candidates(blend: Blend, item_ids: tuple[str, ...]) -> tuple[Candidate, ...]:
    """Candidates as they are answered; scores are exact, so that ranking sees what retrieval saw."""
    named = ~np.isnan(blend.scores)
    found = []
    rows = zip(blend.rows.tolist(), blend.scores.tolist(), named.tolist(), strict=True)
    for place, (row, own, present) in enumerate(rows, 1):
        sources = {name: score for name, score, there in zip(blend.sources, own, present, strict=True) if there}
        found.append(Candidate(item_id=item_ids[row], sources=sources, score=round(1.0 / place, 6)))
    return tuple(found)
