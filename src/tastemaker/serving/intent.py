"""Intent: what the present visit says, which a model trained on purchases alone has never seen.

A look or a cart event of the last minutes lifts what goes with its item. How much is a stated prior, not a fitted
weight: in data without such events there is nothing to fit it on. Without fresh events nothing changes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.retrieval.covisitation import Covisitation
from tastemaker.retrieval.parameters import IntentParameters
from tastemaker.retrieval.source import Query

__all__ = ["Lift", "lift"]


@dataclass(frozen=True, eq=False)
class Lift:
    """What intent adds to the ranker's scores.

    Attributes:
        added: float32 ``[n]``, not negative.
        because: int64 ``[n]``: row of the item whose event lifts the candidate most; -1 where nothing does.
        decisive: bool ``[n]``: whether the lift is a good part of the distance from an ordinary candidate to the best.
    """

    added: npt.NDArray[np.float32]
    because: npt.NDArray[np.int64]
    decisive: npt.NDArray[np.bool_]

    def take(self, order: npt.NDArray[np.intp]) -> "Lift":
        """The candidates in another order."""
        return Lift(self.added[order], self.because[order], self.decisive[order])


def lift(
    scores: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    query: Query,
    *,
    catalogue: Catalogue,
    covisitation: Covisitation,
    parameters: IntentParameters,
) -> Lift:
    """Lift candidates that go with the items of fresh events.

    The unit is the distance from the median score to the best one, so that a lift means the same for every shopper.

    Args:
        scores: float32 ``[n]``, of the ranker.
        rows: int64 ``[n]``, of the candidates.
        query: who asks, with the intent.
        catalogue: vectors of the items.
        covisitation: what goes with what.
        parameters: see there.
    """
    nothing = Lift(np.zeros_like(scores), np.full(len(rows), -1, dtype=np.int64), np.zeros(len(rows), dtype=np.bool_))
    if not len(query.intent) or not len(rows) or not parameters.lift:
        return nothing
    spread = float(scores.max() - np.median(scores))
    cosines = catalogue.vectors[rows] @ catalogue.vectors[query.intent].T
    weighted = covisitation.likeness(rows, query.intent, cosines) * query.intent_weights
    total = float(query.intent_weights.sum())
    share = weighted.sum(axis=1) / total
    strength = 1.0 - np.exp(-total)  # many events say more than one, but not without bound
    added = (parameters.lift * spread * strength * share).astype(np.float32)
    because = np.where(share > 0, query.intent[np.argmax(weighted, axis=1)], -1)
    return Lift(added, because.astype(np.int64), added > parameters.decisive * spread)
