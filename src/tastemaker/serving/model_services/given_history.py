"""A reader of the online store that is given a shopper's newest events instead of looking for them."""

from collections.abc import Sequence

from tastemaker import names
from tastemaker.features.reading.reader import FeatureReader, Key
from tastemaker.serving.model_services.contract import HistoryEvent

__all__ = ["VISIT", "GivenHistory"]

# Stands for the visit of a request that has a history and names no session.
VISIT = "\x00given"


class GivenHistory(FeatureReader):
    """Reads everything but the newest events of user and visit, which are the given ones.

    Args:
        reader: of the online store; its connections are shared.
        events: in any order.
        now_us: the moment that their ages count from, in microseconds.
    """

    def __init__(self, reader: FeatureReader, events: Sequence[HistoryEvent], now_us: int) -> None:
        vars(self).update(vars(reader))  # nothing is opened, and the plan was checked
        # An event of this moment lies before it: what is read is what happened before.
        times = [now_us - max(1, round(event.age_s * 1e6)) for event in events]
        order = sorted(range(len(events)), key=lambda place: -times[place])
        self._given = [(events[place].item_id, str(events[place].type), times[place]) for place in order]

    def history(self, view: str, key: Key, now_us: int | None = None) -> list[tuple[str, str, int]]:
        """As of the reader; the given events are those of the visit, and the user has no others."""
        if view == names.VIEW_SESSION_HISTORY:
            return list(self._given)
        if view == names.VIEW_USER_HISTORY or key == VISIT:
            return []
        return super().history(view, key, now_us)
