"""The upper rungs of the ladder: all stages in their order, or with fewer candidates, or without the ranker."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.features.stores.protocol import StoreUnavailable
from tastemaker.retrieval.allowed import Allowed
from tastemaker.retrieval.blend import Blend, unite
from tastemaker.retrieval.source import NO_ROWS, Retrieved
from tastemaker.serving.context import ShopperContext
from tastemaker.serving.contract import Filters, RecommendationRequest, Tier
from tastemaker.serving.making import Made, Order, Parts, Unreachable
from tastemaker.serving.ranking import default_items
from tastemaker.serving.recipe import AS_TRAINED
from tastemaker.serving.relisting import reranked
from tastemaker.serving.stages.candidates import CandidatesInput, Found, look_for
from tastemaker.serving.stages.context import Asked, ContextInput, asked_for
from tastemaker.serving.stages.features import FeaturesInput, ShopperFeatures, shopper_features
from tastemaker.serving.stages.filtering import FilteringInput, Kept, filtered
from tastemaker.serving.stages.ranking import RankedCandidates, RankingInput, rank

__all__ = ["filtered_candidates", "from_store", "ranked_candidates", "whole_list"]

_T = TypeVar("_T")
_NO_FILTERS: Final = Filters()


def whole_list(parts: Parts, order: Order) -> Made:
    """Make a list by all stages, or by as many as time and dependencies allow.

    Raises:
        Unreachable: the online store does not answer, so that nothing is known of the shopper.
    """
    release, recipe, request, clock = parts.release, order.recipe, order.request, order.clock
    read = ContextInput(
        request,
        recipe,
        parts.reader,
        release.signals,
        order.state.catalogue,
        release.card.parameters.intent,
        order.now_us,
        parts.user_views if "features" in recipe.stages else (),
    )
    asked = from_store(
        parts, order, lambda: clock.run("context", asked_for, read), last="features" not in recipe.stages
    )
    listed = parts.repeats.again(order, asked) or _ranked_list(parts, order, asked)
    return reranked(order, listed, recipe.rerank) if "rerank" in recipe.stages else listed


def _ranked_list(parts: Parts, order: Order, asked: Asked) -> Made:
    """The candidates in order; kept for identical requests."""
    release, recipe, clock, budget = parts.release, order.recipe, order.clock, order.recipe.budget
    catalogue = order.state.catalogue
    shopper, known = asked.shopper, asked.shopper.known
    features = ShopperFeatures(shopper, {})
    if known and "features" in recipe.stages:
        given = FeaturesInput(shopper, release.retrieval.queries, catalogue, asked.reader, release.layout, order.now_us)
        features = from_store(parts, order, lambda: clock.run("features", shopper_features, given), last=True)
        shopper = features.shopper
    short = clock.short_of(budget.fewer_below)
    kept, why_fewer = filtered_candidates(parts, order, shopper, short)
    why_unranked = _why_unranked(parts, order) if known else ""
    with_ranker = known and not why_unranked and "ranking" in recipe.stages and "ranker" in recipe.order
    ranked, why_failed = ranked_candidates(parts, order, kept.candidates, features, with_ranker)
    tier, why = _tier(order, asked, known, why_unranked or why_failed, why_fewer)
    made = Made(
        tier,
        why,
        ranked.candidates,
        ranked.scores,
        shopper,
        features=ranked.features,
        lift=ranked.lift,
        removed=kept.removed,
        unknown_items=asked.unknown_items,
        trail=ranked.trail,
    )
    return parts.repeats.keep(order, asked, made)


def from_store(parts: Parts, order: Order, read: Callable[[], _T], *, last: bool) -> _T:
    """Read from the online store; the last read of a list tells the breaker how long all of them took."""
    breaker, slow_ms = parts.breakers.online_store, order.slow_ms("online_store")
    if not breaker.allows():
        raise Unreachable(breaker.why)
    try:
        found = read()
    except StoreUnavailable as error:
        breaker.failed(f"the online store does not answer ({error})", at_once=True)
        raise Unreachable(breaker.why) from error
    except Exception as error:
        breaker.failed(f"the online store fails ({type(error).__name__}: {error})")
        raise Unreachable(breaker.why) from error
    if last:
        took_ms = sum(order.clock.spent_ns.get(stage, 0) for stage in ("context", "features")) / 1e6
        if slow_ms is not None and took_ms > slow_ms:
            breaker.failed(
                f"the online store took {took_ms:.0f} ms, more than {slow_ms:.0f}",
                at_once=took_ms > order.recipe.budget.total,
            )
        else:
            breaker.succeeded()
    return found


def filtered_candidates(parts: Parts, order: Order, shopper: ShopperContext, short: bool) -> tuple[Kept, str]:
    """Candidates that pass the filters, at most as many as are ranked; and why they are fewer than they should be."""
    recipe, request, sources = order.recipe, order.request, order.state.sources
    trained = parts.release.card.parameters.retrieval
    quotas = trained.quotas if recipe.sources == AS_TRAINED else recipe.sources
    assert not isinstance(quotas, str)
    limit = trained.limit if isinstance(recipe.limit, str) else recipe.limit
    why = ""
    if short:
        limit, why = max(recipe.budget.fewer_candidates, request.k), "time runs short: fewer candidates"
        quotas = {name: min(quota, limit) for name, quota in quotas.items()}
    more = len(order.excluded) + len(shopper.exposure.rows)
    turns = {source.name: 0 for source in sources.in_turn} if recipe.sources == AS_TRAINED else {}
    breaker = parts.breakers.index
    found = order.clock.run(
        "candidates",
        look_for,
        CandidatesInput(
            sources.by_name,
            turns | {name: quota + more for name, quota in quotas.items() if quota},
            replace(shopper.query, allowed=_allowed(order, shopper)),
            {names.SOURCE_TWO_TOWER: breaker, names.SOURCE_SIMILAR: breaker},
            order.slow_ms("index"),
            parts.now_ns,
        ),
    )
    if "rerank" in recipe.stages and len(order.rules.wanted_rows):
        found = replace(found, candidates=_with_pinned(found.candidates, order.rules.wanted_rows))
    kept = _filtered(order, shopper, found.candidates)
    if recipe.fill and len(kept.candidates.rows) < request.k:
        for n in (limit + request.k + more, len(order.state.catalogue)):
            kept = _filtered(order, shopper, _with_popular(order, found, shopper, n))
            if len(kept.candidates.rows) >= request.k:
                break
    if found.without:
        why = f"{next(iter(found.without.values()))}: candidates of the other sources alone"
    return Kept(kept.candidates.first(limit), kept.removed), why


def _allowed(order: Order, shopper: ShopperContext) -> Allowed | None:
    """The rows that the request's filters leave; what searches looks among those alone, so that narrow filters find."""
    filters, recipe = order.request.filters, order.recipe
    if "within_filters" not in recipe.filters:
        filters = _NO_FILTERS
    category = (order.request.category or "") if "in_category" in recipe.filters else ""
    bought = shopper.bought_ever if filters.bought is not None else NO_ROWS
    return order.state.sources.masks.allowed(filters, bought, category)


def _with_pinned(candidates: Blend, rows: npt.NDArray[np.int64]) -> Blend:
    """The candidates with those that pins name, so that a pin holds whatever retrieval found."""
    pinned = Retrieved(rows, np.zeros(len(rows), dtype=np.float32))
    return unite((*candidates.sources, names.SOURCE_PINNED), {**candidates.retrieved, names.SOURCE_PINNED: pinned})


def _with_popular(order: Order, found: Found, shopper: ShopperContext, n: int) -> Blend:
    """The candidates with ``n`` of the shop's favourites among them."""
    name = names.SOURCE_TRENDING
    turns = found.candidates.sources if name in found.candidates.sources else (*found.candidates.sources, name)
    return unite(turns, {**found.candidates.retrieved, name: order.state.sources.trending.retrieve(shopper.query, n)})


def _filtered(order: Order, shopper: ShopperContext, candidates: Blend) -> Kept:
    return order.clock.run(
        "filtering",
        filtered,
        FilteringInput(
            candidates,
            shopper,
            order.state.catalogue,
            order.excluded,
            order.request.filters,
            order.recipe.filters,
            order.recipe.session,
            order.now_us,
        ),
    )


def _why_unranked(parts: Parts, order: Order) -> str:
    """Why the ranker is left out; empty where it is not."""
    if "ranker" not in order.recipe.order:
        return ""
    if order.clock.short_of(order.recipe.budget.unranked_below):
        return "time runs short"
    return "" if parts.breakers.ranker.allows() else parts.breakers.ranker.why


def ranked_candidates(
    parts: Parts, order: Order, candidates: Blend, features: ShopperFeatures, with_ranker: bool
) -> tuple[RankedCandidates, str]:
    """Candidates in order; without the ranker where it fails, and then why."""
    given = RankingInput(
        candidates,
        features,
        order.state.sources,
        parts.reader,
        parts.release.layout,
        parts.ranker if with_ranker else None,
        default_items(parts.reader) if order.stale else parts.read_items,
        {str(signal): weight for signal, weight in order.recipe.order.items()},
        parts.release.card.parameters.intent,
        order.recipe.session,
        order.request.query or "",
        order.now_us,
    )
    breaker, slow_ms = parts.breakers.ranker, order.slow_ms("ranker")
    began = parts.now_ns()
    try:
        ranked = order.clock.run("ranking", rank, given)
    except Exception as error:
        if not with_ranker:
            raise
        why = f"the ranker fails ({type(error).__name__}: {error})"
        breaker.failed(why)
        return order.clock.run("ranking", rank, replace(given, ranker=None)), why
    if with_ranker:
        breaker.took((parts.now_ns() - began) / 1e6, slow_ms)
        if not np.isfinite(ranked.scores).all():
            why = "the ranker gives scores that are no numbers"
            breaker.failed(why)
            return order.clock.run("ranking", rank, replace(given, ranker=None)), why
    return ranked, ""


def _tier(order: Order, asked: Asked, known: bool, why_unranked: str, why_fewer: str) -> tuple[Tier, str]:
    if not known:
        of_page = asked.shopper.query.items.size or asked.shopper.query.category
        instead = "what goes with the page" if of_page else "popular items instead"
        return "cold_start", f"{_unknown(order.request)}: {instead}"
    if why_unranked:
        return "unranked", f"{why_unranked}: in the order of retrieval"
    return ("fewer", why_fewer) if why_fewer else ("full", "")


def _unknown(request: RecommendationRequest) -> str:
    """Why a list is for nobody in particular."""
    asked = [f"user {request.user!r}"] * bool(request.user) + [f"session {request.session!r}"] * bool(request.session)
    return f"nothing is known yet of {' and '.join(asked)}" if asked else "no user and no session was given"
