"""User-kNN: what users with similar histories took (Herlocker et al., 1999), for histories that training never saw."""

from collections.abc import Mapping
from typing import Any

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.neighbour_votes import NeighbourVotes

__all__ = ["UserKnn"]


class UserKnn(NeighbourVotes):
    """Items by the votes of the training histories that share most with the user's.

    Similarity is a cosine: common items, weighted by how telling they are, over the root of the length.

    Args:
        neighbours: histories that vote.
        rarity: an item of ``d`` users counts ``d ** -rarity`` in the similarity; 0: all alike.
        normalise: a training history of ``n`` items counts ``n ** -normalise``; 0.5 is the cosine.
        power: of the similarity in the vote; above 1 gives the nearest a larger say.
        half_life: of an item of the user's history, in interactions; None: all count the same, as without times.
        sample: latest training histories looked at per item: bounds the work of very popular items.

    Raises:
        DataError: a hyperparameter is outside its range.
    """

    name = "user-knn"

    def __init__(
        self,
        *,
        neighbours: int = 100,
        rarity: float = 0.5,
        normalise: float = 0.5,
        power: float = 1.0,
        half_life: float | None = 2.0,
        sample: int = 2000,
    ) -> None:
        if min(neighbours, sample) < 1 or (half_life is not None and not half_life > 0):
            raise DataError("user-knn needs neighbours and sample of at least 1, and a half-life above 0")
        self.neighbours = neighbours
        self.rarity = rarity
        self.normalise = normalise
        self.power = power
        self.half_life = half_life
        self.sample = sample

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Neighbourhood and what makes users similar."""
        choices: dict[str, tuple[Any, ...]] = {
            "neighbours": (50, 100, 200, 500),
            "rarity": (0.3, 0.5, 0.8),
            "normalise": (0.3, 0.5, 0.7),
            "power": (0.7, 1.0, 1.5),
        }
        return choices if train.times is None else {**choices, "half_life": (1.0, 2.0, 6.0, None)}
