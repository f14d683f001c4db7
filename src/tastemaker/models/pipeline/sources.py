"""Which models take part as candidate sources, by what the data is like."""

from dataclasses import dataclass

import numpy as np

from tastemaker.models.histories import Histories

__all__ = ["DataFacts", "choose_sources"]

_REPEATS = 0.02  # share of repeated pairs from which own history is worth a source


@dataclass(frozen=True)
class DataFacts:
    """What decides between sources.

    Attributes:
        n_users: users with interactions.
        n_items: size of the catalogue.
        n: interactions.
        ordered: whether there are times.
        repeats: share of interactions with an item that the user had before.
        median_length: of a history.
    """

    n_users: int
    n_items: int
    n: int
    ordered: bool
    repeats: float
    median_length: float

    @classmethod
    def of(cls, train: Histories) -> "DataFacts":
        """Look at the training data."""
        lengths = train.lengths[train.lengths > 0]
        pairs = train.matrix(binary=True).nnz
        return cls(
            n_users=len(lengths),
            n_items=train.n_items,
            n=len(train.items),
            ordered=train.times is not None,
            repeats=1.0 - pairs / max(1, len(train.items)),
            median_length=float(np.median(lengths)) if len(lengths) else 0.0,
        )


def choose_sources(facts: DataFacts, protocol: str, *, exclude_seen: bool) -> tuple[str, ...]:
    """Names of the models to tune: the quick ones first, and last the towers, which get the time that is left.

    Args:
        facts: of the training data.
        protocol: how lists are judged.
        exclude_seen: whether a user's own items are left out of the lists.
    """
    chosen: list[str] = []
    if facts.repeats > _REPEATS and not exclude_seen:
        chosen.append("own-frequency")
    if protocol == "session":
        chosen += ["session-knn", "co-visitation", "item-knn", "graph-filter", "ease", "ials"]
    elif facts.ordered:
        chosen += ["co-visitation", "item-knn", "user-knn", "session-knn", "ease", "graph-filter", "ials"]
        chosen.append("recent-popularity")
    else:
        chosen += ["graph-filter", "ials", "ease", "user-knn", "item-knn"]
    return (*chosen, "popularity", "two-tower")
