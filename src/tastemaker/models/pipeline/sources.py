"""Which models take part as candidate sources, by what the data is like."""

from tastemaker.models.histories import Histories

__all__ = ["choose_sources"]

_REPEATS = 0.02  # share of repeated pairs from which own history is worth a source


def choose_sources(train: Histories, protocol: str, *, exclude_seen: bool) -> tuple[str, ...]:
    """Names of the models to tune: the quick ones first, and last the towers, which get the time that is left.

    Args:
        train: what they will learn from.
        protocol: how lists are judged.
        exclude_seen: whether a user's own items are left out of the lists.
    """
    chosen: list[str] = []
    if not exclude_seen and train.repeats > _REPEATS:
        chosen.append("own-frequency")
    if protocol == "session":
        chosen += ["session-knn", "co-visitation", "item-knn", "graph-filter", "ease", "ials"]
    elif train.times is not None:
        chosen += ["co-visitation", "item-knn", "user-knn", "session-knn", "ease", "graph-filter", "ials"]
        chosen.append("recent-popularity")
    else:
        chosen += ["graph-filter", "ials", "ease", "user-knn", "item-knn"]
    return (*chosen, "popularity", "two-tower")
