"""Forgets event ids that no duplicate can make count twice any more: the online store does not grow with them."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from tastemaker.clock import wall_us
from tastemaker.features.plan import ViewPlan
from tastemaker.features.semantics import DAY_US
from tastemaker.features.streaming.state import FeatureState

__all__ = ["Pruning"]

_LOG = logging.getLogger(__name__)
_EVERY_S: Final = 3600.0
_MARGIN_US: Final = DAY_US


class Pruning:
    """Prunes a state now and then.

    An id is kept for the longest lateness that a view allows, and a day. A duplicate that comes after that came too
    late after it happened, so no view sees it, in the stream as in the lake. Where a view allows any lateness, ids are
    kept for ever.

    Args:
        state: the online state.
        views: the declarations.
        now_us: the wall clock in microseconds.
        monotonic_s: tells when an hour has passed, in seconds.
    """

    def __init__(
        self,
        state: FeatureState,
        views: Sequence[ViewPlan],
        now_us: Callable[[], int] = wall_us,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        latenesses = [view.lateness_us for view in views if view.kind != "batch"]
        self._keep_us = max(latenesses, default=0) + _MARGIN_US if all(latenesses) else None
        self._state = state
        self._now_us = now_us
        self._monotonic_s = monotonic_s
        self._next_s = monotonic_s()

    def tick(self) -> int:
        """Prune if it is time to; returns how many ids were forgotten."""
        if self._keep_us is None or self._monotonic_s() < self._next_s:
            return 0
        self._next_s = self._monotonic_s() + _EVERY_S
        forgotten = self._state.prune(self._now_us() - self._keep_us)
        if forgotten:
            _LOG.info("forgot %d event ids that are too old to come twice", forgotten)
        return forgotten
