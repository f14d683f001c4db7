"""Parts of the question: for whom, and for which items, is a model good?"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories

__all__ = ["COLD_HISTORY", "COLD_ITEM", "SEGMENTS", "Slice", "slices"]

COLD_HISTORY: Final = 5  # interactions: with fewer, a user is cold
COLD_ITEM: Final = 5  # distinct users in train: with fewer, an item is cold
SEGMENTS: Final = ((0, 1), (1, 5), (5, 20), (20, 100), (100, None))


@dataclass(frozen=True, eq=False)
class Slice:
    """Some users and some of what is relevant to them.

    Attributes:
        name: in kebab case.
        relevant: user by user as in the task; those without relevant items are not in the slice.
        novel_lists: whether the lists without seen items are judged, because seen ones cannot be relevant here.
    """

    name: str
    relevant: Histories
    novel_lists: bool = False


def slices(train: Histories, history: Histories, relevant: Histories) -> list[Slice]:
    """The slices that are not empty.

    ``novel-only``: items that are not in the user's history, judged on the lists without seen items. ``repeat``: items
    that are. ``cold-user``: users with fewer than :data:`COLD_HISTORY` interactions. ``cold-item``: items with fewer
    than :data:`COLD_ITEM` users in train. ``history-1-4`` and so on: users by the length of their history.

    Args:
        train: what models learned from.
        history: what was known of the test users.
        relevant: what followed.
    """
    owners = relevant.rows
    seen = np.isin(
        owners * relevant.n_items + relevant.items, np.unique(history.rows * history.n_items + history.items)
    )
    lengths = history.lengths[owners]
    keep: dict[str, npt.NDArray[np.bool_]] = {
        "novel-only": ~seen,
        "repeat": seen,
        "cold-user": lengths < COLD_HISTORY,
        "cold-item": train.popularity()[relevant.items] < COLD_ITEM,
    }
    for low, high in SEGMENTS:
        inside = (lengths >= low) & (lengths < (np.inf if high is None else high))
        keep[
            f"history-{low}+" if high is None else f"history-{low}-{high - 1}" if high - 1 > low else f"history-{low}"
        ] = inside
    return [
        Slice(name, relevant.where(chosen), novel_lists=name == "novel-only")
        for name, chosen in keep.items()
        if chosen.any()
    ]
