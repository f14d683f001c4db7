"""Exposure for the long tail: the last places of a list go to items that would otherwise never be shown.

Every item has a bonus, so that the users whom it suits best find it in one of these places. The bonuses are prices:
they are raised while an item is shown to none of some reference users and lowered while several see it, which solves
the assignment of items to places (Bertsekas, *The auction algorithm*, 1988). Aggregate diversity grows for a small
loss, since the places given away are the least looked at (Adomavicius and Kwon, IEEE TKDE 24(5), 2012).
"""

import numpy as np
import numpy.typing as npt

from tastemaker.models.ranking import PADDING, top_k

__all__ = ["exposed", "fit_bonus"]

_ROUNDS = 30
_STEP = 0.1  # of the first round, in standard deviations of a user's scores
_SHOWN = 1  # times that every item should be shown to the reference users

Floats = npt.NDArray[np.float32]
Ranked = npt.NDArray[np.int32]


def exposed(ranked: Ranked, scores: Floats, bonus: Floats, places: int) -> Ranked:
    """Lists whose last places are given to the items with the highest score plus bonus.

    Args:
        ranked: int32 ``[users, k]``, padded with -1.
        scores: float32 ``[users, items]``, standardised per user; ``-inf`` for what must not be listed.
        bonus: float32 ``[items]``.
        places: how many, from 0 to ``k``.

    Returns:
        int32 ``[users, k]``, each item once.
    """
    if places == 0:
        return ranked
    k = ranked.shape[1]
    open_ = scores + bonus
    users, kept = np.nonzero(ranked[:, : k - places] != PADDING)
    open_[users, ranked[users, kept]] = -np.inf
    width = min(places, open_.shape[1])
    result = ranked.copy()
    result[:, k - width :] = top_k(open_, width)
    return result


def fit_bonus(ranked: Ranked, scores: Floats, places: int, *, rounds: int = _ROUNDS) -> Floats:
    """The bonuses at which the last places of the reference users' lists show as many items as possible.

    Args:
        ranked: int32 ``[users, k]``, of the reference users.
        scores: float32 ``[users, items]``, as in :func:`exposed`.
        places: how many places there are.
        rounds: of the auction.

    Returns:
        float32 ``[items]``.
    """
    n_items = scores.shape[1]
    bonus = np.zeros(n_items, dtype=np.float32)
    if places == 0:
        return bonus
    head = ranked[:, : ranked.shape[1] - places]
    covered = np.bincount(head[head >= 0], minlength=n_items)
    for round_ in range(rounds):
        tail = exposed(ranked, scores, bonus, places)[:, -places:]
        shown = np.bincount(tail[tail >= 0], minlength=n_items)
        # Subgradient of the dual of the assignment: the price of an item moves by what it lacks.
        missing = np.where(covered >= _SHOWN, -shown, _SHOWN - shown)
        bonus += (_STEP / (1.0 + round_ / 5.0) * np.clip(missing, -2, 1)).astype(np.float32)
    return bonus
