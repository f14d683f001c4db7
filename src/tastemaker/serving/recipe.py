"""The recipe of a surface: its stages, sources, weights, filters and budget, as an engineer writes them in YAML."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tastemaker import names
from tastemaker.retrieval.parameters import RetrievalParameters
from tastemaker.serving.filters import FilterName
from tastemaker.serving.rerank.policy import RerankPolicy

__all__ = ["AS_TRAINED", "SOURCES", "STAGES", "Budget", "Recipe", "SessionPolicy"]

AS_TRAINED: Final = "as_trained"
Stage = Literal["context", "features", "candidates", "filtering", "ranking", "rerank", "explain", "log"]
STAGES: Final[tuple[str, ...]] = get_args(Stage)
_ALWAYS: Final = ("context", "candidates", "filtering", "explain", "log")
SourceName = Literal[
    "two_tower",
    "repeat_purchase",
    "co_visitation",
    "trending",
    "similar_items",
    "bought_together",
    "also_viewed",
    "category_popular",
    "new_items",
    "due_again",
    "given_items",
]
SOURCES: Final[tuple[str, ...]] = get_args(SourceName)
Signal = SourceName | Literal["ranker", "text"]
_NEEDS: Final = {
    names.SOURCE_SIMILAR: "items",
    names.SOURCE_BOUGHT_TOGETHER: "items",
    names.SOURCE_ALSO_VIEWED: "items",
    names.SOURCE_GIVEN: "items",
}
_TRAINED: Final = frozenset(RetrievalParameters().quotas)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SessionPolicy(_Strict):
    """What the newest events of user and visit do to a list, beside what they say of the shopper's interest.

    Attributes:
        bought_minutes: an item that was bought within this time does not appear (filter ``not_just_bought``).
        dismissed_days: an item that was disliked within this time does not appear (filter ``not_dismissed``).
        shown_hours: impressions within this time count as shown.
        shown_free: so many impressions cost nothing.
        shown_discount: each further impression takes this share of the distance from an ordinary candidate to the best;
            0 switches the discount off.
    """

    bought_minutes: float = Field(default=60.0, ge=0)
    dismissed_days: float = Field(default=90.0, ge=0)
    shown_hours: float = Field(default=24.0, ge=0)
    shown_free: int = Field(default=3, ge=0)
    shown_discount: float = Field(default=0.1, ge=0)


class Budget(_Strict):
    """How long a list may take, and what is left out when time runs short; all in milliseconds.

    Attributes:
        total: after it, the caller gets what is at hand: the list made last, or popular items.
        queue: a request that waited this long before anybody began with it gets what is at hand.
        fewer_below: with less than this left before candidates are looked for, fewer are.
        fewer_candidates: how many then.
        unranked_below: with less than this left before ranking, candidates stay in the order of retrieval.
        slow: by dependency, the time from which a call counts as a failure for its circuit breaker.
    """

    total: float = Field(default=100.0, gt=0)
    queue: float = Field(default=50.0, gt=0)
    fewer_below: float = Field(default=40.0, ge=0)
    fewer_candidates: int = Field(default=50, ge=1)
    unranked_below: float = Field(default=15.0, ge=0)
    slow: Mapping[Literal["online_store", "index", "ranker"], float] = {
        "online_store": 40.0,
        "index": 25.0,
        "ranker": 25.0,
    }


class Recipe(_Strict):
    """A surface.

    Attributes:
        surface: its name, as requests give it.
        about: what the list is for, in a sentence.
        requires: fields that a request must have.
        stages: in their order; ``features``, ``ranking`` and ``rerank`` may be left out.
        sources: candidates to ask each source for, in the order of their turns; ``as_trained`` takes those that the
            release's ranker was trained on.
        limit: candidates that are ranked; ``as_trained`` as above.
        fill: whether popular items fill a list that is too short.
        order: what orders the candidates, and how much each counts. The ranker alone counts as it is; beside others,
            each is brought to a mean of 0 and a deviation of 1 over the candidates, and missing ones count as lowest.
        filters: what may not be shown.
        session: see there.
        rerank: diversity, caps, weights, new items and exploration; the shop's rules count without it too.
        budget: see there.
        static: ids that are shown when nothing else can be; the most popular items at the start where it is empty.
    """

    surface: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    about: str = Field(min_length=1)
    requires: tuple[Literal["items", "category", "query"], ...] = ()
    stages: tuple[Stage, ...] = get_args(Stage)
    sources: Mapping[SourceName, Annotated[int, Field(ge=1, le=4_096)]] | Literal["as_trained"]
    limit: Annotated[int, Field(ge=1, le=4_096)] | Literal["as_trained"] = 200
    fill: bool = True
    order: Mapping[Signal, Annotated[float, Field(ge=0, le=100)]]
    filters: tuple[FilterName, ...] = (
        "in_catalogue",
        "available",
        "not_excluded",
        "within_filters",
        "not_just_bought",
        "not_dismissed",
    )
    session: SessionPolicy = SessionPolicy()
    rerank: RerankPolicy | None = None
    budget: Budget = Budget()
    static: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if list(self.stages) != [stage for stage in STAGES if stage in self.stages]:
            raise ValueError(f"stages: give each once, in the order {', '.join(STAGES)}")
        if missing := [stage for stage in _ALWAYS if stage not in self.stages]:
            raise ValueError(f"stages: no list is made without {', '.join(missing)}; add it")
        if "ranker" in self.order and not {"features", "ranking"} <= set(self.stages):
            raise ValueError("order: the ranker needs the stages features and ranking; add them, or leave ranker out")
        for name in self.sources if not isinstance(self.sources, str) else ():
            if (needed := _NEEDS.get(name)) and needed not in self.requires:
                raise ValueError(f"sources: {name} needs {needed} of the request; add {needed} to requires")
        if unasked := [name for name in self.order if name in SOURCES and not self.asks(name)]:
            raise ValueError(f"order: {unasked[0]} is no source of this surface; add it to sources, or leave it out")
        if "in_category" in self.filters and "category" not in self.requires:
            raise ValueError("filters: in_category needs the request's category; add category to requires")
        if "in_catalogue" not in self.filters:
            raise ValueError("filters: a list without in_catalogue could name what was removed; add it")
        if self.rerank is not None and "rerank" not in self.stages:
            raise ValueError("rerank: the stage is not among stages; add it, or leave rerank out")
        return self

    @cached_property
    def version(self) -> str:
        """16 hexadecimal digits of the SHA-256 of all fields; equal recipes have an equal version."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def asks(self, source: str) -> bool:
        """Whether a source is one of this surface; of ``as_trained``, those that rankers are trained on."""
        if isinstance(self.sources, str):
            return source in _TRAINED
        return source in self.sources

    @property
    def only_given(self) -> bool:
        """Whether the list is made of the request's items alone."""
        return not isinstance(self.sources, str) and set(self.sources) == {names.SOURCE_GIVEN}
