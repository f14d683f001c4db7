"""How a given test part was held out: models are told, so that they can validate in the same way."""

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories

__all__ = ["detect"]

_MOST = 0.9  # of the users: a few odd ones do not make another protocol


def detect(
    train: Histories,
    history: Histories,
    relevant: Histories,
    times: npt.NDArray[np.float64] | None,
    users: npt.NDArray[np.int64],
    *,
    known_users: float,
) -> tuple[str, float | None]:
    """One of :data:`~tastemaker.models.protocol.PROTOCOLS`, and the length of the test window.

    Args:
        train: all training data.
        history: what is known of each test user.
        relevant: their distinct test items.
        times: of the test rows ``[n]``; None without.
        users: of the test rows ``[n]``, rows of ``history``.
        known_users: share of the test users whom training saw.

    Returns:
        ``session`` when training saw few of the test users and something is known of them; else ``random`` without
        times; ``temporal`` with the window's length when all test rows come after train; ``last-one`` when the rows of
        nearly every test user come after the user's own history; else ``random``.
    """
    filled = history.lengths > 0
    if known_users < 1 - _MOST and filled.any():
        return "session", None
    if train.times is None:
        return "random", None
    last = train.times.max(initial=-np.inf)
    if times is None:
        # One item each, of everybody, is the last one of each; anything else is a window of unknown length.
        alone = len(relevant.items) < 1.5 * relevant.n_users and relevant.n_users > _MOST * (train.lengths > 0).sum()
        return ("last-one", None) if alone else ("temporal", None)
    if (times >= last).all():
        return "temporal", float(times.max() - last)
    first = np.full(history.n_users, np.inf)
    np.minimum.at(first, users, times)
    ends = np.full(history.n_users, -np.inf)
    if history.times is not None:
        ends[filled] = history.times[history.offsets[1:][filled] - 1]
    return ("last-one", None) if (first >= ends)[filled].mean() > _MOST else ("random", None)
