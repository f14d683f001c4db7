"""The recommendation request and response, and the served list that every answer leaves behind."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from tastemaker.events.contract import Context, Id

__all__ = [
    "Candidate",
    "RecommendationRequest",
    "RecommendationResponse",
    "RecommendedItem",
    "ServedList",
    "Surface",
    "Tier",
]

Surface = Literal["home"]
# Which fallback level answered: the full pipeline, popular items for want of anything known, or popular items while
# the online store does not answer.
Tier = Literal["full", "cold_start", "degraded"]


class RecommendationRequest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What a page asks for.

    Attributes:
        surface: the place on the page.
        user: the known shopper, if any.
        session: the visit, if any; with neither, the list is for nobody in particular.
        k: how many items.
        exclude: items that must not appear.
        context: device, country, and so on.
        explain: also return every candidate source's score and the feature values per item.
    """

    surface: Surface = "home"
    user: Id | None = None
    session: Id | None = None
    k: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    exclude: Annotated[tuple[Id, ...], msgspec.Meta(max_length=1000)] = ()
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
    """

    request_id: str
    release: str
    tier: Tier
    tier_reason: str = ""
    items: tuple[RecommendedItem, ...] = ()


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


class ServedList(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was answered and why; replay, attribution, off-policy evaluation and skew measurement read it.

    Attributes:
        request_id: as in the response.
        served_at: the platform's time as of which its features were read.
        request: as it came.
        release: the release that answered.
        tier: as in the response.
        candidates: all that were ranked, best first.
        features: the ranking features of the final items, by item id, in the order of ``feature_names``.
        feature_names: names of the columns of ``features``: those of the ranking service first, in its order.
        histories: what the query was made of: by history view, the shopper's events as they were read, newest first,
            each ``(item, type, occurred_at in microseconds)``.
        rules: names of the rules that removed something, with how many items each removed.
        items: ids of the final list, best first.
        propensities: probability with which each final item was shown at its place; 1 where nothing was random.
        latency_us: time from request to answer, in microseconds.
    """

    request_id: str
    served_at: datetime
    request: RecommendationRequest
    release: str
    tier: Tier
    candidates: tuple[Candidate, ...] = ()
    features: dict[str, tuple[float, ...]] = {}
    feature_names: tuple[str, ...] = ()
    histories: dict[str, tuple[tuple[str, str, int], ...]] = {}
    rules: dict[str, int] = {}
    items: tuple[str, ...] = ()
    propensities: tuple[float, ...] = ()
    latency_us: int = 0
