"""From scores to lists, in blocks of bounded memory."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.models.protocol import Model, Scores

__all__ = ["PADDING", "blocks", "rank", "top_k"]

PADDING = -1
_CELLS = 8_000_000  # of the score block held at one time: 32 MB
_GROUP = 32  # columns that share a maximum


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
    bound = _bound(scores, width)
    rows, columns = np.divmod(np.flatnonzero(scores > bound[:, None]), n_items)
    tied = np.flatnonzero((np.bincount(rows, minlength=n_users) < width) & (bound > -np.inf))
    if len(tied):
        at_rows, at_columns = _leftmost(scores, bound, tied, width)
        rows, columns = np.concatenate([rows, at_rows]), np.concatenate([columns, at_columns])
    order = np.lexsort((columns, -scores[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    place = np.arange(len(rows)) - np.searchsorted(rows, np.arange(n_users))[rows]
    listed = place < width
    ranked[rows[listed], place[listed]] = columns[listed]
    return ranked


def _bound(scores: Scores, width: int) -> Scores:
    """A value per row that at least ``width`` columns reach and few exceed, found in one pass.

    Of the maxima of disjoint groups of columns, the ``width``-th highest: so many groups reach it, and those that
    exceed it are fewer.
    """
    n_users, n_items = scores.shape
    size = min(_GROUP, n_items // (2 * width))
    if size > 1:
        groups = n_items // size
        scores = scores[:, : size * groups].reshape(n_users, size, groups).max(axis=1)
    last = scores.shape[1] - width
    return np.asarray(np.partition(scores, last, axis=1)[:, last])


def _leftmost(
    scores: Scores, bound: Scores, users: npt.NDArray[np.int64], width: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns at the bound, the ``width`` leftmost of each row among them.

    Where most of a row is at the bound, its beginning has enough of them; where few are, they are quickly listed.
    """
    reach = _GROUP * width
    at = scores[users, :reach] == bound[users, None]
    enough = at.sum(axis=1) >= width
    rows, columns = np.nonzero(at[enough])
    others = users[~enough]
    if not len(others):
        return users[enough][rows], columns
    more, further = np.divmod(np.flatnonzero(scores[others] == bound[others, None]), scores.shape[1])
    return np.concatenate([users[enough][rows], others[more]]), np.concatenate([columns, further])


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
