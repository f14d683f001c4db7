"""The ranker's feature matrix: one function assembles it, in training and in serving.

Its first columns are stored features (of Feast's ranking service), which training gets from point-in-time joins and
serving from the online store. The rest follow from query and candidates, by the same code in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.features.plan import FeaturePlan
from tastemaker.retrieval.blend import Blend
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.covisitation import Covisitation
from tastemaker.retrieval.source import Query
from tastemaker.retrieval.trending import Trending

__all__ = ["DERIVED", "RankingLayout", "ranking_matrix"]

SOURCES: Final = (names.SOURCE_REPEAT, names.SOURCE_COVISITATION, names.SOURCE_TWO_TOWER, names.SOURCE_TRENDING)
DERIVED: Final = (
    "two_tower",
    "co_visitation",
    "co_visitation_habits",
    "owned_items",
    "trending",
    "category_share",
    "price_gap",
    "item_age_days",
    *(f"from_{source}" for source in SOURCES),
)


@dataclass(frozen=True)
class RankingLayout:
    """The columns of the matrix.

    Attributes:
        stored: ``(view, feature, column of the view)`` of each stored feature, in order.
        names: of all columns.
    """

    stored: tuple[tuple[str, str, int], ...]
    names: tuple[str, ...]

    @cached_property
    def by_view(self) -> Mapping[str, tuple[list[str], slice | list[int]]]:
        """The stored features of each view, and where they stand; a slice where they are neighbours: it is quicker."""
        found: dict[str, tuple[list[str], slice | list[int]]] = {}
        for view in dict.fromkeys(view for view, _, _ in self.stored):
            places = [place for place, (other, _, _) in enumerate(self.stored) if other == view]
            neighbours = places == list(range(places[0], places[-1] + 1))
            where = slice(places[0], places[-1] + 1) if neighbours else places
            found[view] = [self.stored[place][1] for place in places], where
        return found

    @classmethod
    def of(cls, plan: FeaturePlan) -> Self:
        """The numeric features of the ranking service, then the derived ones."""
        stored = tuple(
            (view, feature, plan.view(view).feature_names.index(feature))
            for view, feature in plan.service(names.SERVICE_RANKING).features
            if plan.view(view).feature(feature).is_numeric
        )
        return cls(stored, tuple(feature for _, feature, _ in stored) + DERIVED)


def ranking_matrix(
    stored: npt.NDArray[np.float32],
    query: Query,
    candidates: Blend,
    *,
    catalogue: Catalogue,
    covisitation: Covisitation,
    trending: Trending,
    now_us: int,
) -> npt.NDArray[np.float32]:
    """Features of one shopper's candidates.

    Args:
        stored: ``[n, stored features]`` in the order of the layout.
        query: who asks.
        candidates: ``n`` of them.
        catalogue: what the items are.
        covisitation: the item-to-item source.
        trending: the popularity source.
        now_us: the moment, in microseconds.

    Returns:
        float32 ``[n, layout.names]``; NaN where a price or a vector is not known.
    """
    from tastemaker.release.derived_kernel import fill_derived  # compiled code is loaded where it runs

    rows, first = candidates.rows, stored.shape[1]
    matrix = np.empty((len(rows), first + len(DERIVED)), dtype=np.float32)
    matrix[:, :first] = stored
    places = {source: at for at, source in enumerate(candidates.sources)}
    vector = query.vector
    fill_derived(
        matrix,
        first,
        rows,
        np.full(len(rows), np.nan, dtype=np.float32) if vector is None else catalogue.vectors[rows] @ vector,
        covisitation.of(rows, query.anchors, query.anchor_weights),
        covisitation.of(rows, query.habits, query.habit_weights),
        len(query.owned),
        trending.scores,
        catalogue.leaf,
        query.habits,
        query.habit_weights,
        catalogue.log_price,
        catalogue.created_us,
        now_us,
        candidates.scores,
        np.array([places.get(source, -1) for source in SOURCES], dtype=np.int64),
    )
    return matrix
