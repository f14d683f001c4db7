"""What a shopper was shown and did not want: impressions and dislikes, which say more about a list than about taste."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from tastemaker import names
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.semantics import DAY_US
from tastemaker.retrieval.catalogue import Catalogue
from tastemaker.serving.recipe import SessionPolicy

__all__ = ["NO_EXPOSURE", "Exposure", "read_exposure", "shown_discount"]

_DISMISSAL: Final = "dislike"
_HOUR_US: Final = DAY_US // 24


@dataclass(frozen=True, eq=False)
class Exposure:
    """The newest impressions and dislikes of a user and a visit.

    Attributes:
        rows: int64 ``[n]``, catalogue rows.
        dismissed: bool ``[n]``, whether it was a dislike; else it was an impression.
        times_us: int64 ``[n]``, when, in microseconds.
        read: by view, the events as they were read; views that had none are left out.
    """

    rows: npt.NDArray[np.int64]
    dismissed: npt.NDArray[np.bool_]
    times_us: npt.NDArray[np.int64]
    read: Mapping[str, tuple[tuple[str, str, int], ...]] = field(default_factory=dict)

    def dismissed_since(self, since_us: int) -> npt.NDArray[np.int64]:
        """Rows that were disliked after a moment."""
        return self.rows[self.dismissed & (self.times_us > since_us)]

    def shown_since(self, since_us: int) -> npt.NDArray[np.int64]:
        """Rows that were shown after a moment, once for each time."""
        return self.rows[~self.dismissed & (self.times_us > since_us)]


NO_EXPOSURE: Final = Exposure(np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0, np.int64))


def read_exposure(
    reader: FeatureReader, catalogue: Catalogue, user: str | None, session: str | None, now_us: int
) -> Exposure:
    """Read it; nothing where the declarations in force have no such views.

    An event that both views list, since it names user and session, counts once.
    """
    views = ((names.VIEW_USER_EXPOSURE, user), (names.VIEW_SESSION_EXPOSURE, session))
    asked = [(view, key) for view, key in views if key and view in reader.plan.by_name]
    found = {view: tuple(reader.history(view, key, now_us)) for view, key in asked}
    read = {view: events for view, events in found.items() if events}
    if not read:
        return NO_EXPOSURE
    listed = _once(list(read.values()))
    rows = catalogue.rows(item_id for item_id, _, _ in listed)
    known = rows >= 0
    dismissed = np.array([kind == _DISMISSAL for _, kind, _ in listed], dtype=np.bool_)
    times = np.array([time_us for _, _, time_us in listed], dtype=np.int64)
    return Exposure(rows[known], dismissed[known], times[known], read)


def _once(histories: list[tuple[tuple[str, str, int], ...]]) -> Sequence[tuple[str, str, int]]:
    """The events of some histories, one that is in several of them once."""
    if len(histories) == 1:
        return histories[0]
    events: Counter[tuple[str, str, int]] = Counter()
    for one in histories:
        events |= Counter(one)
    return list(events.elements())


def shown_discount(
    scores: npt.NDArray[np.float32],
    rows: npt.NDArray[np.int64],
    exposure: Exposure,
    policy: SessionPolicy,
    now_us: int,
) -> npt.NDArray[np.float32]:
    """What candidates lose for having been shown often, float32 ``[n]``, not negative.

    The unit is the distance from the median score to the best one, as for intent, so that it means the same for all.

    Args:
        scores: float32 ``[n]``.
        rows: int64 ``[n]``, of the candidates.
        exposure: what was shown.
        policy: how much a further impression costs.
        now_us: the moment, in microseconds.
    """
    nothing = np.zeros(len(rows), dtype=np.float32)
    if not policy.shown_discount or not len(exposure.rows) or not len(rows):
        return nothing
    shown, counts = np.unique(exposure.shown_since(now_us - round(policy.shown_hours * _HOUR_US)), return_counts=True)
    if not len(shown):
        return nothing
    place = np.minimum(np.searchsorted(shown, rows), len(shown) - 1)
    times = np.where(shown[place] == rows, counts[place], 0)
    spread = float(scores.max() - np.median(scores))
    beyond = np.maximum(times - policy.shown_free, 0)
    return np.asarray(policy.shown_discount * spread * beyond, dtype=np.float32)
