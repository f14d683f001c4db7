"""Why an item is in a list, in words fit for a shopper; and which source it owes its place to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tastemaker import names
from tastemaker.retrieval.blend import Blend
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.covisitation import Covisitation
from tastemaker.serving.context import ShopperContext
from tastemaker.serving.intent import Lift
from tastemaker.serving.signals import Signals

__all__ = ["Explainer"]

# How much a first place in a source's list says: everybody's favourites say least about this shopper.
_SPEAKS: Final[Mapping[str, float]] = {
    names.SOURCE_REPEAT: 1.1,
    names.SOURCE_COVISITATION: 1.0,
    names.SOURCE_TWO_TOWER: 0.9,
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
_TITLE: Final = 60


@dataclass(frozen=True, eq=False)
class Explainer:
    """Explains the items of one list.

    Attributes:
        context: who asked.
        candidates: that the list was made from, best first.
        lift: what intent added to each; None where nothing was ranked.
        catalogue: what the items are.
        covisitation: the item-to-item source.
        signals: where the features are.
    """

    context: ShopperContext
    candidates: Blend
    lift: Lift | None
    catalogue: Catalogue
    covisitation: Covisitation
    signals: Signals

    def source(self, place: int) -> str:
        """The source in whose own list candidate ``place`` stood highest, weighed by how much that says.

        What was lifted by intent is owed to the source that finds neighbours of items.
        """
        row, best = int(self.candidates.rows[place]), ("", -1.0)
        places = {name: np.flatnonzero(found.rows == row) for name, found in self.candidates.retrieved.items()}
        if self.lift is not None and self.lift.decisive[place]:
            for name in (names.SOURCE_COVISITATION, names.SOURCE_TWO_TOWER):
                if len(places.get(name, ())):
                    return name
        for name, where in places.items():
            if len(where):
                worth = _SPEAKS.get(name, 0.5) * (1.0 - int(where[0]) / len(self.candidates.retrieved[name].rows))
                best = max(best, (name, worth), key=lambda found: found[1])
        return best[0]

    def reason(self, place: int, source: str) -> str:
        """One sentence for candidate ``place``."""
        row = int(self.candidates.rows[place])
        lifted_by = int(self.lift.because[place]) if self.lift is not None and self.lift.decisive[place] else None
        if sentence := self._goes_with(lifted_by):
            return sentence
        if source == names.SOURCE_REPEAT:
            return self._bought(row)
        if sentence := _ITSELF.get(self.context.newest_types().get(row, ""), ""):
            return sentence
        if source == names.SOURCE_COVISITATION:
            because = self.covisitation.because(self.context.query, np.array([row], dtype=np.int64)).get(row)
            if sentence := self._goes_with(because):
                return sentence
        if source in {names.SOURCE_TWO_TOWER, names.SOURCE_COVISITATION} and self.context.query.vector is not None:
            return self._interest(row)
        days = self.signals.trend_days
        return "Popular this week" if days <= 7 else f"Popular in the last {days} days"

    def _bought(self, row: int) -> str:
        values = self.context.owned_values[self.context.query.owned == row]
        times = round(float(values[0, self.signals.own_count])) if len(values) else 0
        return {0: "You bought this before", 1: "You bought this once", 2: "You bought this twice"}.get(
            times, f"You bought this {times} times"
        )

    def _goes_with(self, row: int | None) -> str:
        title = self._title(row)
        if row is None or not title:
            return ""
        kind = self.context.newest_types().get(row, "purchase")
        return _TOGETHER.get(kind, "Goes with {}").format(title)

    def _interest(self, row: int) -> str:
        """Names what the item is most like, among what counts most of the shopper's history."""
        query, vectors = self.context.query, self.catalogue.vectors
        anchors = query.anchors[query.anchors != row]
        weights = query.anchor_weights[query.anchors != row]
        item = self.catalogue.items[row]
        if len(anchors):
            alike = int(anchors[np.argmax(weights * np.maximum(vectors[anchors] @ vectors[row], 0.0))])
            other = self.catalogue.items[alike]
            if item and other and item.category and item.category == other.category:
                return f"Matches your recent interest in {item.category[-1]}"
            if title := self._title(alike):
                return f"Matches your recent interest in {title}"
        return "Matches your recent interest"

    def _title(self, row: int | None) -> str:
        item = self.catalogue.items[row] if row is not None and row >= 0 else None
        if item is None:
            return ""
        return item.title if len(item.title) <= _TITLE else item.title[: _TITLE - 1].rstrip() + "…"
