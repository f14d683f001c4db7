"""What a candidate source sees and gives: one small protocol for all of them."""

from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.allowed import Allowed

__all__ = ["NO_CANDIDATES", "NO_ROWS", "NO_SCORES", "Query", "Retrieved", "Source"]

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
NO_ROWS: Final = np.zeros(0, dtype=np.int64)
NO_SCORES: Final = np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Query:
    """Who asks, in terms of catalogue rows.

    Attributes:
        vector: float32 ``[dimension]`` of the query tower; None where nothing is known of the shopper.
        anchors: rows of the items of the newest events, each once, the strongest first.
        anchor_weights: float32 ``[anchors]``, by kind and recency of the events; they sum to 1.
        habits: rows of all items that the shopper is known to have dealt with, however long ago, each once.
        habit_weights: float32 ``[habits]``, by kind alone: 1 for an item that was bought, however often.
        intent: rows of the items of fresh events that are no purchases, each once, the strongest first.
        intent_weights: float32 ``[intent]``, by kind and freshness; about 1 for an item just put into the cart.
        owned: rows of the items that the shopper bought, each once.
        owned_scores: float32 ``[owned]``, decayed number of purchases.
        owned_due: float32 ``[owned]``, days since the last purchase over the usual interval; NaN where none is known.
        items: rows of the request's items, each once, in its order: of a product page one, of a cart several.
        category: the category of the page, a path joined with ``/``; empty for none.
        now_us: the moment, in microseconds.
        allowed: rows that the request's filters leave, for sources that search: they look among those alone, and so
            have candidates where the best of all would be filtered away. None for no filters. Rules apply all the same.
    """

    vector: Scores | None
    anchors: Rows
    anchor_weights: Scores
    habits: Rows
    habit_weights: Scores
    intent: Rows
    intent_weights: Scores
    owned: Rows
    owned_scores: Scores
    owned_due: Scores = field(default_factory=lambda: NO_SCORES)
    items: Rows = field(default_factory=lambda: NO_ROWS)
    category: str = ""
    now_us: int = 0
    allowed: Allowed | None = None


@dataclass(frozen=True, eq=False)
class Retrieved:
    """Candidates of one source.

    Attributes:
        rows: int64 ``[n]``, catalogue rows, each once, best first.
        scores: float32 ``[n]``, in the source's own unit.
    """

    rows: Rows
    scores: Scores


NO_CANDIDATES: Final = Retrieved(NO_ROWS, NO_SCORES)


class Source(Protocol):
    """A named way to find candidates."""

    @property
    def name(self) -> str:
        """As it appears in served lists, reasons and metrics."""

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """At most ``n`` candidates, best first; fewer or none where the source knows nothing."""
