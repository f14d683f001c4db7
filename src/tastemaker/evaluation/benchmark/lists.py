"""A model's lists for every test user, from one pass of scoring."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import Model
from tastemaker.models.ranking import PADDING, blocks, top_k

__all__ = ["Lists", "make_lists"]

Ranked = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Lists:
    """What a model would show.

    Attributes:
        shown: int32 ``[users, k]``, best first, padded with -1.
        novel: the same without the items of each user's history; the very same array where seen items are left out.
    """

    shown: Ranked
    novel: Ranked


def make_lists(
    model: Model,
    history: Histories,
    k: int,
    *,
    exclude_seen: bool,
    progress: Callable[[int], None] = lambda users: None,
) -> Lists:
    """Score and rank.

    Args:
        model: fitted.
        history: whom to rank for.
        k: length of the lists.
        exclude_seen: leave the items of a user's own history out of ``shown`` too.
        progress: told after each block how many users are done.

    Raises:
        DataError: the model's scores are NaN or of another shape: there is no order in them.
    """
    shown = np.full((history.n_users, k), PADDING, dtype=np.int32)
    novel = shown if exclude_seen else shown.copy()
    for users in blocks(history.n_users, history.n_items):
        asked = history.take(users)
        scores = model.score(asked)
        if scores.shape != (len(users), history.n_items):
            raise DataError(f"{model.name} scored {scores.shape} for {len(users)} users and {history.n_items} items")
        # A sum is NaN where any value is, at a tenth of the cost of looking at each.
        if np.isnan(scores.sum()):
            raise DataError(f"{model.name} gave NaN or infinite scores; its training probably diverged")
        if not exclude_seen:
            shown[users] = top_k(scores, k)
        scores[asked.rows, asked.items] = -np.inf
        novel[users] = top_k(scores, k)
        progress(int(users[-1]) + 1)
    return Lists(shown, novel)
