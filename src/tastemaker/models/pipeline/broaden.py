"""How much NDCG the last places of the lists cost, how much coverage they buy, and how many of them to give."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.models.histories import Histories
from tastemaker.models.pipeline.exposure import exposed, fit_bonus
from tastemaker.models.quality import mean_ndcg

__all__ = ["Broadening", "TradeOff", "choose_places", "trade_off"]

_CELLS = 60_000_000  # of the scores of the reference users: 240 MB
_USERS = 2_000
_SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)  # of the places of a list

Floats = npt.NDArray[np.float32]
# From histories to lists int32 [users, k] and standardised scores of the whole catalogue float32 [users, items].
Lister = Callable[[Histories, int], tuple[npt.NDArray[np.int32], Floats]]


@dataclass(frozen=True)
class TradeOff:
    """One point of the curve.

    Attributes:
        places: given to the long tail, at the end of each list.
        coverage: share of the catalogue in at least one list.
        ndcg: of the lists.
    """

    places: int
    coverage: float
    ndcg: float


@dataclass(frozen=True, eq=False)
class Broadening:
    """What a list is broadened by.

    Attributes:
        k: length of the lists that it is made for.
        places: given to the long tail.
        bonus: float32 ``[items]``.
    """

    k: int
    places: int
    bonus: Floats

    @classmethod
    def of(cls, lister: Lister, train: Histories, k: int, places: int, *, seed: int) -> "Broadening":
        """Learn the bonuses on users drawn from the training data."""
        users = _some(train, seed)
        ranked, scores = lister(train.take(users), k)
        return cls(k, places, fit_bonus(ranked, scores, places))


def trade_off(
    lister: Lister,
    history: Histories,
    relevant: Histories,
    k: int,
    *,
    seed: int,
    until: float | None = None,
) -> list[TradeOff]:
    """Coverage and NDCG by number of places.

    Args:
        lister: makes lists and scores.
        history: validation users.
        relevant: what they went on to take.
        k: length of the lists.
        seed: of the choice of users, where there are more than fit.
        until: ``time.monotonic()`` after which no further point is begun; None: all of them.
    """
    users = _some(history, seed)
    ranked, scores = lister(history.take(users), k)
    truth = relevant.take(users)
    points: list[TradeOff] = []
    for places in sorted({round(share * k) for share in _SHARES}):
        if points and until is not None and time.monotonic() > until:
            break
        lists = exposed(ranked, scores, fit_bonus(ranked, scores, places), places)
        coverage = len(np.unique(lists[lists >= 0])) / history.n_items
        points.append(TradeOff(places, coverage, mean_ndcg(lists, truth)))
    return points


def choose_places(curve: list[TradeOff], loss: float) -> int:
    """The most places at which no more than a share ``loss`` of the NDCG is lost."""
    least = curve[0].ndcg * (1.0 - loss)
    return max((point.places for point in curve if point.ndcg >= least), default=0)


def _some(histories: Histories, seed: int) -> npt.NDArray[np.int64]:
    most = max(1, min(_USERS, _CELLS // max(1, histories.n_items)))
    users = np.flatnonzero(histories.lengths > 0)
    return np.sort(np.random.default_rng(seed).choice(users, min(most, len(users)), replace=False))
