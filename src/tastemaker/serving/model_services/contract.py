"""What retrieval and ranking are asked and answer. An answer of retrieval is a request of ranking, as it stands."""

from typing import Annotated

import msgspec

from tastemaker.events.contract import EventType, Id
from tastemaker.serving.contract import Candidate, Filters, RecommendationRequest, Surface, Tier

__all__ = [
    "MAX_CANDIDATES",
    "Asking",
    "HistoryEvent",
    "RankedItem",
    "RankedItems",
    "RankingRequest",
    "RetrievalRequest",
    "RetrievedCandidates",
    "ToRank",
]

MAX_CANDIDATES = 4_096
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
_Items = Annotated[tuple[Id, ...], msgspec.Meta(max_length=1000)]


class HistoryEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a shopper did with an item.

    Attributes:
        item_id: the item.
        type: of the event.
        age_s: seconds ago.
    """

    item_id: Id
    type: EventType
    age_s: Annotated[float, msgspec.Meta(ge=0, le=3.2e9)]


class Asking(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """Who asks, and for what page: the same for both models.

    Attributes:
        surface: whose recipe counts.
        user: the known shopper, if any; history and features are read from the online store.
        session: the visit, if any.
        history: what the shopper did, in place of what the online store knows of it; purchases of long ago are still
            read where a user is named.
        items: what the list goes with.
        category: of the page.
        query: the text that was searched for.
        k: how many items the list is to have.
    """

    surface: Surface = "home"
    user: Id | None = None
    session: Id | None = None
    history: Annotated[tuple[HistoryEvent, ...], msgspec.Meta(max_length=1000)] | None = None
    items: _Items = ()
    category: _Text | None = None
    query: _Text | None = None
    k: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10

    def as_list(self) -> RecommendationRequest:
        """The list that it is for."""
        return RecommendationRequest(
            surface=self.surface,
            user=self.user,
            session=self.session,
            items=self.items,
            category=self.category,
            query=self.query,
            k=self.k,
        )


class RetrievalRequest(Asking, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What retrieval is asked.

    Attributes:
        exclude: items that must not appear.
        filters: what the items must be.
        limit: at most so many candidates; as many as the recipe says where it is left out.
    """

    exclude: _Items = ()
    filters: Filters = Filters()
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_CANDIDATES)] | None = None

    def as_list(self) -> RecommendationRequest:
        """The list that it is for."""
        return msgspec.structs.replace(super().as_list(), exclude=self.exclude, filters=self.filters)


class RetrievedCandidates(Asking, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What retrieval answers: what it was asked, and candidates for it.

    Attributes:
        request_id: of the answer.
        release: that made it.
        tier: ``full``, ``cold_start`` (nothing is known of the shopper), ``fewer`` (without the index) or ``popular``
            (the online store does not answer).
        tier_reason: why not a higher one.
        candidates: within the recipe's rules; in the order in which sources take turns, so that any first of them are a
            fair choice. ``score`` falls with that order; ``sources`` has the score of each source that named the item.
        unknown_items: ids of ``items`` and ``history`` that the catalogue does not have.
    """

    request_id: str
    release: str
    tier: Tier
    tier_reason: str = ""
    candidates: tuple[Candidate, ...]
    unknown_items: tuple[str, ...] = ()


class ToRank(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An item to put in order.

    Attributes:
        item_id: the item.
        sources: score by candidate source, of those that named it: what the ranker knows of where it comes from.
        score: of retrieval; the order of the candidates says as much.
    """

    item_id: Id
    sources: dict[str, float] = {}
    score: float | None = None


class RankingRequest(Asking, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What ranking is asked: retrieval's answer, or less.

    Attributes:
        candidates: the items.
        request_id: is returned; a new one where it is left out.
        release: that found the candidates.
        tier: of that.
        tier_reason: why not a higher one.
        unknown_items: ids that the retrieval's catalogue did not have.
    """

    candidates: Annotated[tuple[ToRank, ...], msgspec.Meta(max_length=MAX_CANDIDATES)]
    request_id: Annotated[str, msgspec.Meta(max_length=256)] = ""
    release: Annotated[str, msgspec.Meta(max_length=256)] = ""
    tier: Tier = "full"
    tier_reason: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    unknown_items: Annotated[tuple[Id, ...], msgspec.Meta(max_length=2000)] = ()


class RankedItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item in its place.

    Attributes:
        item_id: the item.
        score: higher is better; comparable within one list only.
    """

    item_id: str
    score: float


class RankedItems(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What ranking answers.

    Attributes:
        request_id: as in the request, else of its own.
        release: that ranked.
        tier: as of a list; the retrieval's where that is lower than the ranking's own.
        tier_reason: why not a higher one.
        items: best first, at most ``k``.
        unknown_items: ids of the request that the catalogue does not have.
        retrieved_by: the release that found the candidates, where it is another one.
    """

    request_id: str
    release: str
    tier: Tier
    tier_reason: str = ""
    items: tuple[RankedItem, ...]
    unknown_items: tuple[str, ...] = ()
    retrieved_by: str = ""
