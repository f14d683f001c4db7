"""Session-kNN: what happened next in similar sessions, with order and recency (V-SkNN, STAN, VMIS-kNN)."""

from collections.abc import Mapping
from typing import Any

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.neighbour_votes import NeighbourVotes

__all__ = ["SessionKnn"]


class SessionKnn(NeighbourVotes):
    """Items by the votes of similar training sessions.

    The three decays are those of STAN (Garg et al., SIGIR 2019): old items of the asked session count less (as in
    V-SkNN, Ludewig and Jannach, 2018), old sessions count less, and a neighbour speaks for the items near the newest
    common one. Only the latest sessions of each item are looked at, as in VMIS-kNN (Kersbergen et al., SIGMOD 2022).
    Without times there are no decays, and it is a user-kNN.

    Args:
        neighbours: sessions that vote.
        half_life: of an item of the asked session, in interactions.
        spread: moments from the newest common item after which a neighbour's vote halves; None: it is the same for all.
        age: half-life of a training session by its end, as a share of the time that the ends span; None: all count the
            same.
        rarity: an item of ``d`` sessions counts ``d ** -rarity`` in the similarity.
        normalise: a training session of ``n`` items counts ``n ** -normalise``.
        power: of the similarity in the vote.
        sample: latest training sessions looked at per item.

    Raises:
        DataError: a hyperparameter is outside its range.
    """

    name = "session-knn"

    def __init__(
        self,
        *,
        neighbours: int = 500,
        half_life: float | None = 1.5,
        spread: float | None = 2.0,
        age: float | None = None,
        rarity: float = 0.2,
        normalise: float = 0.4,
        power: float = 1.0,
        sample: int = 2000,
    ) -> None:
        if min(neighbours, sample) < 1 or any(x is not None and not x > 0 for x in (half_life, spread, age)):
            raise DataError("session-knn needs neighbours and sample of at least 1; half_life, spread and age above 0")
        self.neighbours = neighbours
        self.half_life = half_life
        self.spread = spread
        self.age = age
        self.rarity = rarity
        self.normalise = normalise
        self.power = power
        self.sample = sample

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Neighbourhood, decays and weights."""
        choices: dict[str, tuple[Any, ...]] = {
            "neighbours": (100, 500, 1500),
            "rarity": (0.0, 0.2, 0.5),
            "normalise": (0.2, 0.4, 0.7),
            "power": (1.0, 1.5),
        }
        if train.times is None:
            return choices
        decays = {"half_life": (0.7, 1.5, 4.0), "spread": (1.0, 2.0, 5.0, None), "age": (0.2, 0.5, None)}
        return {**choices, **decays}
