"""The rerank stage: from the best candidates to the best list, by rules, diversity and exploration.

What it does is :mod:`tastemaker.serving.rerank`'s; where no such function is given, the order of ranking stays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.recipe import Recipe

__all__ = ["ListedOrder", "RerankStageInput", "Reranker", "rerank_list"]


@dataclass(frozen=True, eq=False)
class RerankStageInput:
    """What the stage is given.

    Attributes:
        rows: int64 ``[n]``, catalogue rows, best first.
        scores: float32 ``[n]``.
        k: length of the list.
        catalogue: what the items are: vectors, leaf categories, prices, ages.
        recipe: of the surface.
        seed: of the list, for what is random in it.
        now_us: the moment, in microseconds.
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    k: int
    catalogue: Catalogue
    recipe: Recipe
    seed: int
    now_us: int


@dataclass(frozen=True, eq=False)
class ListedOrder:
    """The order of the list.

    Attributes:
        order: int64 ``[m]``, places of the candidates; those of the list first.
        propensities: float64 ``[m]``, with which probability each stands at its place.
        effects: by rule, how many items it moved or took out.
    """

    order: npt.NDArray[np.intp]
    propensities: npt.NDArray[np.float64]
    effects: Mapping[str, int] = field(default_factory=dict)


Reranker = Callable[[RerankStageInput], ListedOrder]


def rerank_list(given: RerankStageInput, reranker: Reranker | None) -> ListedOrder | None:
    """The order of the list; None where ranking's stays, and nothing is random."""
    return None if reranker is None or not len(given.rows) else reranker(given)
