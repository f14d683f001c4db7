"""What each feature adds to an item's score: the score without it, one feature at a time.

Without a feature means: with the value that is ordinary among the list's candidates, their median. So what is equal for
all candidates, as features of the shopper are, contributes nothing, and contributions say why an item stands above or
below the others. What features add together is not shared out among them: contributions do not sum to the score
(Covert, Lundberg & Lee, "Explaining by Removing", JMLR 2021, call it removal of one feature).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker.serving.contract import ServedList
from tastemaker.serving.replay.logged import Logged
from tastemaker.serving.replay.model import ReplayModel
from tastemaker.serving.replay.trace import DISCOUNT, LIFT
from tastemaker.serving.weighing import signals

__all__ = ["Contribution", "contributions"]

_Floats = npt.NDArray[np.float32]
_LEAST: Final = 1e-6


@dataclass(frozen=True)
class Contribution:
    """What one thing adds to one item's score.

    Attributes:
        name: of a feature, or of what the recipe weighs: ``signal:`` and its name.
        value: of the item; NaN where it is not known.
        ordinary: the median among the candidates; NaN likewise.
        added: to the ranker's score; of a signal, of the lift of the visit and of the discount, to the item's score.
    """

    name: str
    value: float
    ordinary: float
    added: float


def contributions(served: ServedList, logged: Logged, model: ReplayModel, item_id: str) -> tuple[Contribution, ...]:
    """What adds to an item's score, the largest first; those that add nothing are left out.

    Args:
        served: the list.
        logged: its numbers.
        model: of its release.
        item_id: of a candidate.
    """
    place = logged.item_ids.index(item_id)
    found: list[Contribution] = []
    ranked = model.ranker(logged.features) if logged.ranked else None
    if ranked is not None:
        found += _features(served, logged, model, place)
    if not logged.trace.at_hand and set(logged.trace.weights) != {"ranker"}:
        parts = signals(logged.trace.weights, logged.by_source, logged.sources, ranked, logged.text)
        for name, values in parts.items():
            found.append(Contribution(f"signal:{name}", *_of(_raw(name, logged, ranked), place), float(values[place])))
    for name, values, sign in ((LIFT, logged.lift, 1.0), (DISCOUNT, logged.discount, -1.0)):
        found.append(Contribution(name, *_of(values, place), sign * float(values[place])))
    return tuple(sorted((one for one in found if abs(one.added) > _LEAST), key=lambda one: -abs(one.added)))


def _features(served: ServedList, logged: Logged, model: ReplayModel, place: int) -> list[Contribution]:
    own = logged.features[place]
    ordinary = np.array([_median(column) for column in logged.features.T], dtype=np.float32)
    without = np.repeat(own[None, :], len(own) + 1, axis=0)
    without[np.arange(len(own)), np.arange(len(own))] = ordinary
    scores = model.ranker(without)  # the last row is the item as it is
    added = (scores[-1] - scores[:-1]).tolist()
    values = zip(served.feature_names, own.tolist(), ordinary.tolist(), added, strict=False)
    return [Contribution(name, value, usual, more) for name, value, usual, more in values]


def _median(values: _Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _of(values: _Floats, place: int) -> tuple[float, float]:
    return float(values[place]), _median(values)


def _raw(signal: str, logged: Logged, ranked: _Floats | None) -> _Floats:
    """The signal's own values, before it is standardised."""
    values = ranked if signal == "ranker" else logged.text if signal == "text" else None
    return logged.by_source[:, logged.sources.index(signal)] if values is None else values
