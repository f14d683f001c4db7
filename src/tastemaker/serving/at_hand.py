"""Lists that need nothing but this process: the lower rungs of the degradation ladder.

The list that the same shopper, or the same page, got last; else what is popular in context; else a fixed list.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.blend import Blend, unite
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.source import Query, Retrieved
from tastemaker.serving.candidates import CandidateSources
from tastemaker.serving.contract import RecommendationRequest, Tier
from tastemaker.serving.reasons import SOURCE_AT_HAND, SOURCE_STATIC

__all__ = ["CachedLists", "StaticList", "one_source", "popular_in_context"]

Key = tuple[object, ...]
_KEPT: Final = 100


class CachedLists:
    """The last whole list of each shopper and page; the ones asked for longest ago are forgotten first.

    A list of a shopper is given to that shopper alone. One that was made for nobody known is also given to others on
    the same page from the same country: their segment, as far as a request without any store tells.

    Args:
        capacity: lists; each takes about 1.3 kB.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._lists: OrderedDict[Key, tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._lists)

    def put(
        self, request: RecommendationRequest, tier: Tier, rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float32]
    ) -> None:
        """Keep a list.

        Args:
            request: that it answers.
            tier: that it is of; a ``cold_start`` is its segment's as well.
            rows: int64 ``[n]``, best first.
            scores: float32 ``[n]``.
        """
        if not len(rows):
            return
        kept = rows[:_KEPT].astype(np.int32), scores[:_KEPT].copy()
        keys = [_segment(request)] if tier == "cold_start" else []
        if own := _own(request):
            keys.append(own)
        with self._lock:
            for key in keys:
                self._lists[key] = kept
                self._lists.move_to_end(key)
            while len(self._lists) > self._capacity:
                self._lists.popitem(last=False)

    def get(self, request: RecommendationRequest) -> Retrieved | None:
        """The list of the shopper, else of the segment, if one is kept."""
        with self._lock:
            found = self._lists.get(_own(request) or ()) or self._lists.get(_segment(request))
        return None if found is None else Retrieved(found[0].astype(np.int64), found[1])


def _page(request: RecommendationRequest) -> Key:
    return request.surface, request.items, request.category, request.query


def _own(request: RecommendationRequest) -> Key | None:
    whose = request.user or request.session
    return None if not whose else ("own", request.user is not None, whose, *_page(request))


def _segment(request: RecommendationRequest) -> Key:
    return "segment", request.context.country, *_page(request)


@dataclass(frozen=True, eq=False)
class StaticList:
    """A list that is there whatever else is not.

    Attributes:
        rows: int64 ``[n]``, best first.
    """

    rows: npt.NDArray[np.int64]

    @classmethod
    def of(cls, catalogue: Catalogue, item_ids: tuple[str, ...], popularity: npt.NDArray[np.float32]) -> "StaticList":
        """The named items, else the most popular ones of the moment."""
        rows = catalogue.rows(item_ids)
        if not len(rows := rows[rows >= 0]):
            rows = np.argsort(-popularity, kind="stable")[: 5 * _KEPT].astype(np.int64)
        return cls(rows)

    def retrieved(self) -> Retrieved:
        """As candidates."""
        return Retrieved(self.rows, (1.0 / np.arange(1.0, len(self.rows) + 1.0)).astype(np.float32))


def one_source(name: str, found: Retrieved) -> Blend:
    """The candidates of one source alone."""
    return unite((name,), {name: found})


def cached(found: Retrieved) -> Blend:
    """A list that was kept, as candidates."""
    return one_source(SOURCE_AT_HAND, found)


def fixed(static: StaticList) -> Blend:
    """The static list, as candidates."""
    return one_source(SOURCE_STATIC, static.retrieved())


def popular_in_context(sources: CandidateSources, query: Query, n: int, *, fill: bool) -> Blend:
    """What is popular in the category of the page or its item, and then in the shop.

    Args:
        sources: over the catalogue.
        query: with the page.
        n: how many of each.
        fill: whether the shop's favourites may follow those of the category; they stand alone where there is none.
    """
    near = sources.others[names.SOURCE_CATEGORY].retrieve(query, n)
    everywhere = sources.trending.retrieve(query, n)
    if not len(near.rows):
        return one_source(names.SOURCE_TRENDING, everywhere)
    if not fill:
        return one_source(names.SOURCE_CATEGORY, near)
    # One after the other, not in turns: what is popular here stands before what is popular anywhere.
    others = ~np.isin(everywhere.rows, near.rows)
    rows = np.concatenate([near.rows, everywhere.rows[others]])
    scores = np.full((len(rows), 2), np.nan, dtype=np.float32)
    scores[: len(near.rows), 0] = near.scores
    scores[len(near.rows) :, 1] = everywhere.scores[others]
    return Blend(
        rows,
        scores,
        (names.SOURCE_CATEGORY, names.SOURCE_TRENDING),
        {names.SOURCE_CATEGORY: near, names.SOURCE_TRENDING: everywhere},
    )
