"""The retrieval stage: all sources, blended, after the rules, at most as many as are ranked."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.blend import Blend, blend
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.covisitation import Covisitation
from tastemaker.retrieval.index import VectorIndex
from tastemaker.retrieval.parameters import RetrievalParameters
from tastemaker.retrieval.repeat import RepeatPurchases
from tastemaker.retrieval.source import Query, Source
from tastemaker.retrieval.trending import Trending
from tastemaker.serving.rules import RuleInput, apply_rules

__all__ = ["NO_ROWS", "CandidateSources", "find_candidates", "popular"]

NO_ROWS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class CandidateSources:
    """The sources over one state of the catalogue."""

    repeat: RepeatPurchases
    covisitation: Covisitation
    index: VectorIndex
    trending: Trending

    @classmethod
    def over(cls, catalogue: Catalogue, covisitation: Covisitation, popularity: npt.NDArray[np.float32]) -> Self:
        """The sources over a catalogue.

        Args:
            catalogue: the items.
            covisitation: of the release.
            popularity: float32 ``[rows]``, recent purchases of each row.
        """
        return cls(
            RepeatPurchases(),
            covisitation,
            VectorIndex(catalogue.vectors, catalogue.servable),
            Trending(popularity, catalogue.servable),
        )

    @property
    def in_turn(self) -> tuple[Source, ...]:
        """All of them, in the order of their turns."""
        return (self.repeat, self.covisitation, self.index, self.trending)


def find_candidates(
    sources: CandidateSources,
    parameters: RetrievalParameters,
    query: Query,
    catalogue: Catalogue,
    *,
    excluded: npt.NDArray[np.int64] = NO_ROWS,
    at_least: int = 0,
) -> tuple[Blend, dict[str, int]]:
    """Candidates that may be shown.

    Args:
        sources: where they come from.
        parameters: quotas and limit.
        query: who asks.
        catalogue: that the sources are over.
        excluded: rows that the request excludes; sources are asked for that many more.
        at_least: fill up with popular items until there are so many, if the catalogue has them.

    Returns:
        The candidates, and how many each rule removed.
    """
    quotas = {name: quota + len(excluded) for name, quota in parameters.quotas.items() if quota}
    found = _within_rules(blend(sources.in_turn, quotas, query), catalogue, excluded)
    if len(found[0].rows) < at_least:
        quotas[sources.trending.name] = len(catalogue)
        found = _within_rules(blend(sources.in_turn, quotas, query), catalogue, excluded)
    return found[0].first(parameters.limit), found[1]


def popular(
    sources: CandidateSources, query: Query, catalogue: Catalogue, excluded: npt.NDArray[np.int64], k: int
) -> tuple[Blend, dict[str, int]]:
    """The ``k`` most popular items that may be shown: the answer where nothing is known."""
    n = k + len(excluded)
    candidates, removed = _within_rules(
        blend([sources.trending], {sources.trending.name: n}, query), catalogue, excluded
    )
    return candidates.first(k), removed


def _within_rules(
    candidates: Blend, catalogue: Catalogue, excluded: npt.NDArray[np.int64]
) -> tuple[Blend, dict[str, int]]:
    keep, removed = apply_rules(RuleInput(candidates.rows, catalogue, excluded))
    return candidates.only(keep), removed
