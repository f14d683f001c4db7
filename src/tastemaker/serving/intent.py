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

# Cosines of two items that have nothing to do with each other stay below this.
_UNRELATED = 0.3


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
    alike = np.stack([_alike(int(row), rows, catalogue, covisitation) for row in query.intent])
    weighted = alike * query.intent_weights[:, None]
    total = float(query.intent_weights.sum())
    share = weighted.sum(axis=0) / total
    strength = 1.0 - np.exp(-total)  # many events say more than one, but not without bound
    added = (parameters.lift * spread * strength * share).astype(np.float32)
    because = np.where(share > 0, query.intent[np.argmax(weighted, axis=0)], -1)
    return Lift(added, because.astype(np.int64), added > parameters.decisive * spread)


def _alike(
    row: int, candidates: npt.NDArray[np.int64], catalogue: Catalogue, covisitation: Covisitation
) -> npt.NDArray[np.float32]:
    """How much candidates go with an item, 0 to 1: half what others had together, half what the towers say.

    An item does not go with itself: whoever looks at it has found it.
    """
    together = covisitation.of(candidates, np.array([row], dtype=np.int64), np.ones(1, dtype=np.float32))
    together = together / max(covisitation.strongest(row), 1e-9)
    cosine = catalogue.vectors[candidates] @ catalogue.vectors[row]
    near = np.maximum(cosine - _UNRELATED, 0.0) / (1.0 - _UNRELATED)
    return np.where(candidates == row, 0.0, (together + near) / 2.0).astype(np.float32)
