"""Why an item is in a list, in words fit for a shopper; and which source it owes its place to."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.retrieval.blend import Blend
from tastemaker.retrieval.covisitation import ItemNeighbours
from tastemaker.serving.candidates import CandidateSources
from tastemaker.serving.context import ShopperContext
from tastemaker.serving.intent import Lift
from tastemaker.serving.signals import Signals

__all__ = ["SOURCE_AT_HAND", "SOURCE_STATIC", "Explainer"]

# Where items of the lower tiers come from.
SOURCE_AT_HAND: Final = "list_at_hand"
SOURCE_STATIC: Final = "static"

# How much a first place in a source's list says: everybody's favourites say least about this shopper.
_SPEAKS: Final[Mapping[str, float]] = {
    names.SOURCE_DUE: 1.2,
    names.SOURCE_BOUGHT_TOGETHER: 1.15,
    names.SOURCE_REPEAT: 1.1,
    names.SOURCE_ALSO_VIEWED: 1.05,
    names.SOURCE_COVISITATION: 1.0,
    names.SOURCE_SIMILAR: 0.95,
    names.SOURCE_TWO_TOWER: 0.9,
    names.SOURCE_FRESH: 0.6,
    names.SOURCE_CATEGORY: 0.5,
    names.SOURCE_TRENDING: 0.4,
}
_TOGETHER: Final[Mapping[str, str]] = {
    "view": "Goes with what you looked at: {}",
    "cart_add": "Goes with what you put in your cart: {}",
    "wishlist": "Goes with what you wished for: {}",
    "purchase": "Often bought together with {}",
}
_ITSELF: Final[Mapping[str, str]] = {
    "view": "You looked at this",
    "cart_add": "You put this in your cart",
    "wishlist": "It is on your wish list",
}
_OF_PAGE: Final[Mapping[str, str]] = {
    names.SOURCE_BOUGHT_TOGETHER: "Often bought together with {}",
    names.SOURCE_ALSO_VIEWED: "Others looked at this and {}",
    names.SOURCE_SIMILAR: "Similar to {}",
}
_ALWAYS: Final[Mapping[str, str]] = {
    names.SOURCE_FRESH: "New in the shop",
    names.SOURCE_GIVEN: "Matches your search",
    names.SOURCE_PINNED: "Chosen by the shop",
    SOURCE_AT_HAND: "Picked for you",
    SOURCE_STATIC: "Popular in the shop",
}
_TITLE: Final = 60


@dataclass(frozen=True, eq=False)
class Explainer:
    """Explains the first items of one list; works out for all of them at once what each of them needs.

    Attributes:
        context: who asked.
        candidates: that the list was made from, best first.
        lift: what intent added to each; None where nothing was ranked.
        sources: over the catalogue.
        signals: where the features are.
        shown: so many candidates are explained.
    """

    context: ShopperContext
    candidates: Blend
    lift: Lift | None
    sources: CandidateSources
    signals: Signals
    shown: int

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """int64 ``[shown]``, rows of what is explained."""
        return self.candidates.rows[: self.shown]

    @cached_property
    def _sources(self) -> list[str]:
        """The source of each: in whose own list it stood highest, weighed by how much that says.

        What was lifted by intent is owed to the source that finds neighbours of items.
        """
        named = [name for name, found in self.candidates.retrieved.items() if len(found.rows)]
        if not named:
            return [""] * len(self.rows)
        worth = np.full((len(named), len(self.rows)), -1.0)
        for at, name in enumerate(named):
            found = self.candidates.retrieved[name].rows
            same = found == self.rows[:, None]
            there = same.any(axis=1)
            worth[at, there] = _SPEAKS.get(name, 0.5) * (1.0 - same.argmax(axis=1)[there] / len(found))
        chosen = [named[at] for at in worth.argmax(axis=0).tolist()]
        if self.lift is not None:
            for place in np.flatnonzero(self.lift.decisive[: self.shown]).tolist():
                for name in (names.SOURCE_COVISITATION, names.SOURCE_TWO_TOWER):
                    if name in named and worth[named.index(name), place] >= 0:
                        chosen[place] = name
                        break
        return chosen

    @cached_property
    def _types(self) -> Mapping[int, str]:
        return self.context.newest_types()

    @cached_property
    def _because(self) -> Mapping[int, int]:
        query = self.context.query
        return self.sources.covisitation.because(self.rows, query.anchors, query.anchor_weights)

    @cached_property
    def _because_of_page(self) -> Mapping[str, Mapping[int, int]]:
        tables = self.sources.others
        return {
            name: table.because(self.context.query, self.rows)
            for name in (names.SOURCE_BOUGHT_TOGETHER, names.SOURCE_ALSO_VIEWED)
            if isinstance(table := tables[name], ItemNeighbours)
        }

    def source(self, place: int) -> str:
        """The source that candidate ``place`` owes its place to."""
        return self._sources[place]

    def reason(self, place: int) -> str:
        """One sentence for candidate ``place``."""
        row, source = int(self.rows[place]), self._sources[place]
        if source in _OF_PAGE:
            return self._of_page(row, source)
        lifted_by = int(self.lift.because[place]) if self.lift is not None and self.lift.decisive[place] else None
        if sentence := self._goes_with(lifted_by):
            return sentence
        if source == names.SOURCE_REPEAT:
            return self._bought(row)
        if source == names.SOURCE_DUE:
            return self._due(row)
        if sentence := _ALWAYS.get(source, ""):
            return sentence
        if sentence := _ITSELF.get(self._types.get(row, ""), ""):
            return sentence
        if source == names.SOURCE_COVISITATION and (sentence := self._goes_with(self._because.get(row))):
            return sentence
        if source in {names.SOURCE_TWO_TOWER, names.SOURCE_COVISITATION} and self.context.query.vector is not None:
            return self._interest(place)
        days = self.signals.trend_days
        item = self.sources.catalogue.items[row]
        if source == names.SOURCE_CATEGORY and item and item.category:
            return f"Popular in {item.category[-1]}"
        return "Popular this week" if days <= 7 else f"Popular in the last {days} days"

    def _of_page(self, row: int, source: str) -> str:
        items = self.context.query.items
        if source in self._because_of_page:
            because = self._because_of_page[source].get(row, -1)
        else:
            vectors = self.sources.catalogue.vectors
            because = int(items[np.argmax(vectors[items] @ vectors[row])]) if len(items) else -1
        title = self._title(because)
        if not title:
            return "Goes with what is on this page"
        typed = getattr(self.sources.others[source], "typed", True)
        return (_OF_PAGE[source] if typed else "Goes with {}").format(title)

    @cached_property
    def _owned(self) -> Mapping[int, tuple[int, float]]:
        """Of each item that the shopper bought: how often, and how long ago in usual intervals."""
        query = self.context.query
        counts = self.context.owned_values[:, self.signals.own_count].round().astype(int).tolist()
        due = query.owned_due.tolist() or [0.0] * len(counts)
        return dict(zip(query.owned.tolist(), zip(counts, due, strict=True), strict=True))

    def _bought(self, row: int) -> str:
        times, _ = self._owned.get(row, (0, 0.0))
        return {0: "You bought this before", 1: "You bought this once", 2: "You bought this twice"}.get(
            times, f"You bought this {times} times"
        )

    def _due(self, row: int) -> str:
        if self._owned.get(row, (0, 0.0))[1] >= 1.0:
            return f"{self._bought(row)}; it may be time again"
        return self._bought(row)

    def _goes_with(self, row: int | None) -> str:
        title = self._title(row)
        if row is None or not title:
            return ""
        kind = self._types.get(row, "purchase")
        return _TOGETHER.get(kind, "Goes with {}").format(title)

    @cached_property
    def _alike(self) -> list[int]:
        """For each shown item the row, of another item, that it is most like, by what counts in the history."""
        query, vectors = self.context.query, self.sources.catalogue.vectors
        if not len(query.anchors):
            return [-1] * len(self.rows)
        alike = np.maximum(vectors[self.rows] @ vectors[query.anchors].T, 0.0) * query.anchor_weights
        alike[self.rows[:, None] == query.anchors] = -1.0
        best = alike.argmax(axis=1)
        found = np.where(alike[np.arange(len(best)), best] >= 0.0, query.anchors[best], -1)
        return [int(row) for row in found.tolist()]

    def _interest(self, place: int) -> str:
        """Names what the item is most like, among what counts most of the shopper's history."""
        alike = self._alike[place]
        if alike >= 0:
            item, other = self.sources.catalogue.items[int(self.rows[place])], self.sources.catalogue.items[alike]
            if item and other and item.category and item.category == other.category:
                return f"Matches your recent interest in {item.category[-1]}"
            if title := self._title(alike):
                return f"Matches your recent interest in {title}"
        return "Matches your recent interest"

    def _title(self, row: int | None) -> str:
        item = self.sources.catalogue.items[row] if row is not None and row >= 0 else None
        if item is None:
            return ""
        return item.title if len(item.title) <= _TITLE else item.title[: _TITLE - 1].rstrip() + "…"
