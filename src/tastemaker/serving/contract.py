"""The recommendation request and response, and the served list that every answer leaves behind."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from tastemaker.events.contract import Amount, Context, Id, Text
from tastemaker.serving.replay.trace import Trace

__all__ = [
    "Candidate",
    "Filters",
    "RecommendationRequest",
    "RecommendationResponse",
    "RecommendedItem",
    "RuleEffect",
    "ServedList",
    "Surface",
    "Tier",
]

# The name of a recipe; which ones there are is known when the recipes are loaded.
Surface = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]
# Which level of the fallback ladder answered, best first. ``cold_start`` is a whole answer to somebody of whom nothing
# is known; ``degraded`` stands in lists that were logged before the ladder.
Tier = Literal["full", "cold_start", "fewer", "unranked", "cached", "popular", "static", "degraded"]


class Filters(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What the items of a list must be; each field that is given narrows the list.

    Attributes:
        categories: paths joined with ``/``; an item of any of them, or of a category below it, may appear.
        price_min: lowest price; items without a price do not appear.
        price_max: highest price; items without a price do not appear.
        available: false also takes items that cannot be bought at present, where the surface names them.
        bought: false leaves out what the shopper bought before, true keeps nothing else.
    """

    categories: Annotated[tuple[Text, ...], msgspec.Meta(max_length=100)] = ()
    price_min: Amount | None = None
    price_max: Amount | None = None
    available: bool = True
    bought: bool | None = None


class RecommendationRequest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What a page asks for.

    Attributes:
        surface: the place on the page.
        user: the known shopper, if any.
        session: the visit, if any; with neither, the list is for nobody in particular.
        items: what the list goes with: the item of a product page, the items of a cart, or the items to put in order.
        category: the category of the page, a path joined with ``/``.
        query: the text that was searched for.
        k: how many items.
        exclude: items that must not appear.
        filters: what the items must be.
        context: device, country, and so on.
        explain: also return every candidate source's score and the feature values per item.
    """

    surface: Surface = "home"
    user: Id | None = None
    session: Id | None = None
    items: Annotated[tuple[Id, ...], msgspec.Meta(max_length=1000)] = ()
    category: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] | None = None
    query: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] | None = None
    k: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    exclude: Annotated[tuple[Id, ...], msgspec.Meta(max_length=1000)] = ()
    filters: Filters = Filters()
    context: Context = Context()
    explain: bool = False


class RecommendedItem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One item of a list.

    Attributes:
        item_id: the item.
        title: its title.
        score: the ranker's score; higher is better; comparable within one list only.
        source: the candidate source that contributed most.
        reason: why, in words fit for a shopper.
        price: in the shop's currency, if known.
        category: path from the root.
        details: with ``explain``: source scores and feature values by name.
    """

    item_id: str
    title: str
    score: float
    source: str
    reason: str
    price: float | None = None
    category: tuple[str, ...] = ()
    details: dict[str, float] | None = None


class RecommendationResponse(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A list, and where it came from.

    Attributes:
        request_id: quote it in events that answer this list.
        release: the release that made it.
        tier: which level of the fallback ladder answered.
        tier_reason: why not a higher one; empty for ``full``.
        items: best first.
        unknown_items: ids of the request's ``items`` that the catalogue does not have; the list was made without them.
        stale: views whose features are older than they may be, so that defaults stood in for them.
        repeated: its candidates were ranked for an identical request a moment ago, and nothing has changed since.
    """

    request_id: str
    release: str
    tier: Tier
    tier_reason: str = ""
    items: tuple[RecommendedItem, ...] = ()
    unknown_items: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    repeated: bool = False


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One candidate of a served list, with what was known of it.

    Attributes:
        item_id: the item.
        sources: score by candidate source, for the sources that named it.
        score: the ranker's score.
    """

    item_id: str
    sources: dict[str, float]
    score: float


class RuleEffect(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What one rule of the shop, or one part of the surface's policy, did to one candidate.

    Attributes:
        item_id: the item.
        rule: id of the rule, or ``policy:`` and the part of the policy.
        before: its place before, from 1; None when it was out of the list.
        after: and after.
    """

    item_id: str
    rule: str
    before: int | None = None
    after: int | None = None


class ServedList(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was answered and why; replay, attribution, off-policy evaluation and skew measurement read it.

    Attributes:
        request_id: as in the response.
        served_at: the platform's time as of which its features were read.
        request: as it came.
        release: the release that answered.
        tier: as in the response.
        tier_reason: as in the response.
        candidates: all that were ranked, best first.
        features: the ranking features of the final items, by item id, in the order of ``feature_names``.
        feature_names: names of the columns of ``features``: those of the ranking service first, in its order.
        histories: what the query and the session's filters were made of: by history view, the shopper's events as they
            were read, newest first, each ``(item, type, occurred_at in microseconds)``.
        rules: names of the recipe's filters that removed something, with how many items each removed.
        items: ids of the final list, best first.
        item_sources: the candidate source that each of them owes its place to; empty in lists of before it was logged.
        reasons: why each of them was shown, as the shopper read it; likewise.
        propensities: probability with which each final item was shown at its place; 1 where nothing was random.
        propensity: whether these are marginal, or conditional on the items at the places before.
        rules_version: of the shop's rules; empty where neither rules nor a policy had anything to do.
        effects: what each rule did, in their order.
        latency_us: time from request to answer, in microseconds.
        stages: time of each stage, in microseconds.
        trace: what it takes to make the list again; None in lists of before it was logged.
        repeated: as in the response; candidates and features are those of the list that was ranked before.
        shadow_of: the request that a release on trial made this list for as well, which nobody saw; else empty.
        stands_in_for: the release that failed to make this list; else empty.
    """

    request_id: str
    served_at: datetime
    request: RecommendationRequest
    release: str
    tier: Tier
    tier_reason: str = ""
    candidates: tuple[Candidate, ...] = ()
    features: dict[str, tuple[float, ...]] = {}
    feature_names: tuple[str, ...] = ()
    histories: dict[str, tuple[tuple[str, str, int], ...]] = {}
    rules: dict[str, int] = {}
    items: tuple[str, ...] = ()
    item_sources: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    propensities: tuple[float, ...] = ()
    propensity: Literal["marginal", "conditional"] = "marginal"
    rules_version: str = ""
    effects: tuple[RuleEffect, ...] = ()
    latency_us: int = 0
    stages: dict[str, int] = {}
    trace: Trace | None = None
    repeated: bool = False
    shadow_of: str = ""
    stands_in_for: str = ""
