"""What lists are made with, what one is made from, and what is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.retrieval.blend import Blend
from tastemaker.serving.breaker import CircuitBreaker
from tastemaker.serving.context import ShopperContext
from tastemaker.serving.contract import RecommendationRequest, Tier
from tastemaker.serving.intent import Lift
from tastemaker.serving.ranking import RankFunction, ReadMatrix
from tastemaker.serving.recipe import Recipe
from tastemaker.serving.records import Kept
from tastemaker.serving.release import Release
from tastemaker.serving.rerank.compiled_rules import ActiveRules
from tastemaker.serving.shop_state import ShopState
from tastemaker.serving.stages.rerank import ListedOrder
from tastemaker.serving.stages.runner import StageClock
from tastemaker.serving.trail import Trail

if TYPE_CHECKING:
    from tastemaker.serving.repeats import RepeatedLists

__all__ = ["NO_FEATURES", "Breakers", "Made", "Order", "Parts", "Unreachable"]

NO_FEATURES: Final = np.zeros((0, 0), dtype=np.float32)


class Unreachable(Exception):
    """A dependency that a list cannot be made without does not answer; says why."""


@dataclass(frozen=True, eq=False)
class Breakers:
    """One for each dependency."""

    online_store: CircuitBreaker
    index: CircuitBreaker
    ranker: CircuitBreaker

    @classmethod
    def closed(cls, now_ns: Callable[[], int]) -> Self:
        """All of them closed, by a clock that only grows.

        The online store is tried again after a refresh, which looks at it twice a second.
        """

        def seconds() -> float:
            return now_ns() / 1e9

        return cls(
            CircuitBreaker("online store", retry_s=None),
            CircuitBreaker("index", clock=seconds),
            CircuitBreaker("ranker", clock=seconds),
        )


@dataclass(frozen=True, eq=False)
class Parts:
    """What lists are made with; the same for all of them.

    Attributes:
        release: which serves.
        reader: of the online store.
        ranker: gives scores.
        read_items: reads the features of items in process.
        breakers: of the dependencies.
        now_ns: a clock that only grows.
        repeats: rankings that may be given again.
    """

    release: Release
    reader: FeatureReader
    ranker: RankFunction
    read_items: ReadMatrix
    breakers: Breakers
    now_ns: Callable[[], int]
    repeats: "RepeatedLists"

    @cached_property
    def user_views(self) -> tuple[str, ...]:
        """The views of users that the ranker takes features of."""
        views = self.release.layout.by_view
        return tuple(view for view in views if self.reader.plan.view(view).entities == (names.ENTITY_USER,))


@dataclass(frozen=True, eq=False)
class Order:
    """One request and what it is answered from.

    Attributes:
        request_id: of the answer.
        request: as it came.
        recipe: of its surface.
        state: of the shop.
        rules: of the shop, for the surface and the moment.
        excluded: int64, rows that the request excludes.
        now_us: the moment, in microseconds.
        clock: of the list.
        stale: item views whose features are too old to be believed.
        timed: whether slow calls count.
    """

    request_id: str
    request: RecommendationRequest
    recipe: Recipe
    state: ShopState
    rules: ActiveRules
    excluded: npt.NDArray[np.int64]
    now_us: int
    clock: StageClock
    stale: tuple[str, ...] = ()
    timed: bool = False

    def slow_ms(self, dependency: Any) -> float | None:
        """From when a call of a dependency counts as a failure; None for never."""
        return self.recipe.budget.slow.get(dependency) if self.timed else None


@dataclass(frozen=True, eq=False)
class Made:
    """A list, before it is explained.

    Attributes:
        tier: which level of the ladder it is of.
        why: why not a higher one.
        candidates: best first.
        scores: float32 ``[n]``.
        shopper: who asked, as far as is known.
        features: float32 ``[n, features]``, or ``[0, 0]``.
        lift: what intent added.
        removed: by filter, how many items it took out.
        listed: what the rerank stage made of the candidates; None where their first ``k`` are the list.
        unknown_items: ids of the request that the catalogue does not have.
        trail: how the candidates were scored; None where they were taken as they were at hand.
        kept: whether it was ranked for an identical request before; see :mod:`tastemaker.serving.repeats`.
    """

    tier: Tier
    why: str
    candidates: Blend
    scores: npt.NDArray[np.float32]
    shopper: ShopperContext
    features: npt.NDArray[np.float32] = field(default_factory=lambda: NO_FEATURES)
    lift: Lift | None = None
    removed: Mapping[str, int] | None = None
    listed: ListedOrder | None = None
    unknown_items: tuple[str, ...] = ()
    trail: Trail | None = None
    kept: Kept = ""
