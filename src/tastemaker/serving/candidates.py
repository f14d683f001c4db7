"""The candidate sources over one state of the shop, and what rankers are trained on of their candidates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.blend import Blend, blend
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.category import CategoryPopular
from tastemaker.retrieval.covisitation import Covisitation, ItemNeighbours
from tastemaker.retrieval.fresh import NewItems
from tastemaker.retrieval.given import GivenItems
from tastemaker.retrieval.index import VectorIndex
from tastemaker.retrieval.parameters import RetrievalParameters
from tastemaker.retrieval.repeat import DueAgain, RepeatPurchases
from tastemaker.retrieval.similar import SimilarItems
from tastemaker.retrieval.source import Query, Source
from tastemaker.retrieval.trending import Trending
from tastemaker.serving.filter_masks import FilterMasks
from tastemaker.serving.filters import FilterInput, apply_filters

__all__ = ["CandidateSources", "MakeIndex", "find_candidates"]

# From vectors float32 [rows, dimension] and bool [rows] to a searchable index of the rows that are true.
MakeIndex = Callable[[npt.NDArray[np.float32], npt.NDArray[np.bool_]], Source]


@dataclass(frozen=True, eq=False)
class CandidateSources:
    """The sources over one state of the catalogue.

    Attributes:
        catalogue: that they are over.
        repeat: what the shopper bought.
        covisitation: what goes with what they dealt with.
        index: what is near to them.
        trending: what everybody buys.
        others: those that rankers are not trained on, by name.
        masks: what filters leave of the catalogue.
    """

    catalogue: Catalogue
    repeat: RepeatPurchases
    covisitation: Covisitation
    index: Source
    trending: Trending
    others: Mapping[str, Source]
    masks: FilterMasks

    @classmethod
    def over(
        cls,
        catalogue: Catalogue,
        covisitation: Covisitation,
        popularity: npt.NDArray[np.float32],
        *,
        together: Mapping[str, Covisitation] | None = None,
        make_index: MakeIndex = VectorIndex,
        old: Self | None = None,
        changed: npt.NDArray[np.int64] | None = None,
    ) -> Self:
        """The sources over a catalogue.

        Args:
            catalogue: the items.
            covisitation: of the release.
            popularity: float32 ``[rows]``, recent purchases of each row.
            together: tables of one kind of event, ``bought`` and ``viewed``; of a kind that is not there, the table of
                all events stands in.
            make_index: builds the index from vectors and what is servable.
            old: sources of a state before; what the catalogue has not changed is taken over.
            changed: int64, rows that may differ from the catalogue of ``old``, new ones among them; None where nobody
                knows, and then the index is built anew.
        """
        same = old is not None and old.catalogue is catalogue
        index = _index(catalogue, make_index, old, changed)
        trending = Trending(popularity, catalogue.servable)
        together = together or {}
        fresh: Source = (
            old.others[names.SOURCE_FRESH]
            if old is not None and same
            else NewItems(catalogue.created_us, catalogue.servable, catalogue.vectors)
        )
        others: tuple[Source, ...] = (
            SimilarItems(index, catalogue.vectors),
            ItemNeighbours(
                names.SOURCE_BOUGHT_TOGETHER, together.get("bought", covisitation), typed="bought" in together
            ),
            ItemNeighbours(names.SOURCE_ALSO_VIEWED, together.get("viewed", covisitation), typed="viewed" in together),
            CategoryPopular(catalogue.categories, catalogue.leaf, catalogue.servable, trending.scores),
            fresh,
            DueAgain(),
            GivenItems(),
        )
        named = {source.name: source for source in others}
        masks = old.masks if old is not None and same else FilterMasks(catalogue)
        return cls(catalogue, RepeatPurchases(), covisitation, index, trending, named, masks)

    @property
    def in_turn(self) -> tuple[Source, ...]:
        """Those that rankers are trained on, in the order of their turns."""
        return (self.repeat, self.covisitation, self.index, self.trending)

    @cached_property
    def by_name(self) -> Mapping[str, Source]:
        """All of them."""
        return {source.name: source for source in self.in_turn} | dict(self.others)


def _index(
    catalogue: Catalogue,
    make_index: MakeIndex,
    old: CandidateSources | None,
    changed: npt.NDArray[np.int64] | None,
) -> Source:
    """The index over a catalogue: that of a state before where it can be kept or kept up."""
    before = old.index if old is not None else None
    if old is not None and isinstance(before, VectorIndex) and changed is not None:
        if old.catalogue is catalogue and not before.waiting:
            return before
        return before.updated(catalogue.vectors, catalogue.servable, changed)
    if old is not None and old.catalogue is catalogue:
        return old.index
    return make_index(catalogue.vectors, catalogue.servable)


def find_candidates(sources: CandidateSources, parameters: RetrievalParameters, query: Query) -> Blend:
    """Candidates that a ranker is trained on: of all sources in turn, those that may be shown.

    Args:
        sources: where they come from.
        parameters: quotas and limit.
        query: who asks.
    """
    found = blend(sources.in_turn, parameters.quotas, query)
    keep, _ = apply_filters(FilterInput(found.rows, sources.catalogue))
    return found.only(keep).first(parameters.limit)
