"""From scores to lists, in blocks of bounded memory."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.models.protocol import Model, Scores

__all__ = ["PADDING", "blocks", "rank", "top_k"]

PADDING = -1
_CELLS = 8_000_000  # of the score block held at one time: 32 MB


def top_k(scores: Scores, k: int) -> npt.NDArray[np.int32]:
    """The ``k`` highest columns of each row, best first; ties go to the lower column, as in a full stable sort.

    Args:
        scores: ``[users, items]``; ``-inf`` marks an item that must not be listed.
        k: at least 1.

    Returns:
        int32 ``[users, k]``, padded with -1.

    >>> top_k(np.array([[1.0, 3.0, 3.0, -np.inf]], dtype=np.float32), 4).tolist()
    [[1, 2, 0, -1]]
    """
    n_users, n_items = scores.shape
    width = min(k, n_items)
    ranked = np.full((n_users, k), PADDING, dtype=np.int32)
    if width == 0 or n_users == 0:
        return ranked
    # The k-th highest value bounds the list; columns at it are taken from the left, so that ties are decided.
    bound = np.partition(scores, n_items - width, axis=1)[:, n_items - width, None]
    above = scores > bound
    at = scores == bound
    room = width - above.sum(axis=1, keepdims=True)
    chosen = above | (at & (np.cumsum(at, axis=1) <= room))
    columns = np.nonzero(chosen)[1].reshape(n_users, width)
    values = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.take_along_axis(columns, order, axis=1)
    ranked[:, :width] = np.where(np.take_along_axis(values, order, axis=1) > -np.inf, best, PADDING)
    return ranked


def blocks(n_users: int, n_items: int) -> list[npt.NDArray[np.int64]]:
    """Users in blocks whose scores fit into the memory that ranking may take."""
    step = max(1, _CELLS // max(1, n_items))
    return [np.arange(start, min(start + step, n_users)) for start in range(0, n_users, step)]


def rank(
    model: Model,
    histories: Histories,
    k: int,
    *,
    exclude_seen: bool,
    progress: Callable[[int], None] = lambda users: None,
) -> npt.NDArray[np.int32]:
    """The best items of each user.

    Args:
        model: fitted.
        histories: whom to rank for.
        k: length of the lists.
        exclude_seen: leave out the items of a user's own history.
        progress: told after each block how many users are done.

    Returns:
        int32 ``[users, k]``, best first, each item once, padded with -1.
    """
    ranked = np.full((histories.n_users, k), PADDING, dtype=np.int32)
    for users in blocks(histories.n_users, histories.n_items):
        asked = histories.take(users)
        scores = model.score(asked)
        if exclude_seen:
            scores[asked.rows, asked.items] = -np.inf
        ranked[users] = top_k(scores, k)
        progress(int(users[-1]) + 1)
    return ranked
