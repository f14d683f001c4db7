"""What a candidate source sees and gives: one small protocol for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["NO_CANDIDATES", "Query", "Retrieved", "Source"]

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


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


@dataclass(frozen=True, eq=False)
class Retrieved:
    """Candidates of one source.

    Attributes:
        rows: int64 ``[n]``, catalogue rows, each once, best first.
        scores: float32 ``[n]``, in the source's own unit.
        because: for some rows, the row of the item that brought them here.
    """

    rows: Rows
    scores: Scores
    because: Mapping[int, int] = field(default_factory=dict)


NO_CANDIDATES: Final = Retrieved(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))


class Source(Protocol):
    """A named way to find candidates."""

    @property
    def name(self) -> str:
        """As it appears in served lists, reasons and metrics."""

    def retrieve(self, query: Query, n: int) -> Retrieved:
        """At most ``n`` candidates, best first; fewer or none where the source knows nothing."""
