"""The explain stage: the items of the answer, each with its source, its reason, and on request its details."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.blend import Blend
from tastemaker.serving.candidates import CandidateSources
from tastemaker.serving.context import ShopperContext
from tastemaker.serving.contract import RecommendedItem
from tastemaker.serving.intent import Lift
from tastemaker.serving.reasons import Explainer
from tastemaker.serving.signals import Signals

__all__ = ["ExplainInput", "Explained", "by_source", "explain", "plain"]


@dataclass(frozen=True, eq=False)
class ExplainInput:
    """What the stage is given.

    Attributes:
        candidates: ``n`` of them, best first.
        scores: float32 ``[n]``.
        features: float32 ``[n, features]``, or ``[0, 0]``.
        lift: what intent added; None where nothing was ranked.
        shopper: who asked.
        sources: over the catalogue.
        signals: where the features are.
        k: how many are shown.
        names: of the features, to give details; None for none.
    """

    candidates: Blend
    scores: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    lift: Lift | None
    shopper: ShopperContext
    sources: CandidateSources
    signals: Signals
    k: int
    names: Sequence[str] | None


@dataclass(frozen=True, eq=False)
class Explained:
    """The items of the answer, best first."""

    items: tuple[RecommendedItem, ...]


def explain(given: ExplainInput) -> Explained:
    """Say what is shown, and why. Only what is shown costs anything here."""
    candidates = given.candidates
    shown = min(given.k, len(candidates.rows))
    if not shown:
        return Explained(())
    explainer = Explainer(given.shopper, candidates, given.lift, given.sources, given.signals, shown)
    items = given.sources.catalogue.items
    scores = given.scores[:shown].tolist()
    made = []
    for place, row in enumerate(candidates.rows[:shown].tolist()):
        item = items[row]
        assert item is not None, "the filters keep what is in the catalogue"
        made.append(
            RecommendedItem(
                item_id=item.item_id,
                title=item.title,
                score=scores[place],
                source=explainer.source(place),
                reason=explainer.reason(place),
                price=item.price,
                category=item.category,
                details=_details(given, place) if given.names is not None else None,
            )
        )
    return Explained(tuple(made))


def _details(given: ExplainInput, place: int) -> dict[str, float]:
    details = {f"source.{name}": score for name, score in by_source(given.candidates, place).items()}
    if len(given.features):
        details |= dict(zip(given.names or (), plain(given.features[place]), strict=True))
    return details


def by_source(candidates: Blend, place: int) -> dict[str, float]:
    """The scores of the sources that named a candidate."""
    pairs = zip(candidates.sources, candidates.scores[place].tolist(), strict=True)
    return {name: score for name, score in pairs if not isnan(score)}


def plain(values: npt.NDArray[np.float32]) -> Any:
    """Values that JSON can carry, in lists as deep as the array: what is not known is 0."""
    return np.nan_to_num(values, nan=0.0).tolist()
