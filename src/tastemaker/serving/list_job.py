"""A list on its way to the thread that makes lists and back, which its caller may give up.

A future of the executor wrapped in one of the loop, and a wait with a timeout, cost 40 µs more per list than this.
"""

import asyncio
import logging
from collections.abc import Callable

from tastemaker.serving.any_recommender import Answer, AnyRecommender
from tastemaker.serving.contract import RecommendationRequest

__all__ = ["ListJob"]

_log = logging.getLogger(__name__)


class ListJob:
    """A list that is wanted; made in the loop that waits for it.

    Args:
        recommender: that makes it.
        request: for whom.
        queued: when it was asked for, by the monotonic clock.
        queue_s: how long it may wait for its turn.

    Attributes:
        begun: whether its turn has come.
        given_up: whether nobody waits for it anymore.
    """

    __slots__ = ("_answered", "_late", "_loop", "begun", "given_up", "queue_s", "queued", "recommender", "request")

    def __init__(
        self, recommender: AnyRecommender, request: RecommendationRequest, queued: float, queue_s: float
    ) -> None:
        self.recommender, self.request, self.queued, self.queue_s = recommender, request, queued, queue_s
        self.begun = self.given_up = False
        self._loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[Answer | None] = self._loop.create_future()

    async def wait(self, timeout_s: float) -> Answer | None:
        """The list; None when it takes longer, or its turn does not come: from then on nobody waits for it.

        Args:
            timeout_s: from now until nobody waits for it anymore.

        Raises:
            Exception: what making it raised.
        """
        queue_s = min(self.queue_s, timeout_s)
        self._late = self._loop.call_later(queue_s, self._look, timeout_s - queue_s)
        try:
            return await self._answered
        finally:  # also where whoever asked has gone
            self._late.cancel()
            self.given_up = True

    def _look(self, more_s: float) -> None:
        """When it may not wait for its turn any longer: behind one that is stuck it would wait in vain."""
        if self.begun and more_s > 0:
            self._late = self._loop.call_later(more_s, self._settle, None, None)
        else:
            self._settle(None, None)

    def run(self, make: Callable[["ListJob"], Answer]) -> None:
        """In the thread that makes lists: make it, unless nobody waits for it anymore."""
        if self.given_up:
            return
        self.begun = True
        answer, error = None, None
        try:
            answer = make(self)
        except Exception as found:
            error = found
        self._loop.call_soon_threadsafe(self._settle, answer, error)

    def _settle(self, answer: Answer | None, error: Exception | None) -> None:
        if self._answered.done():
            if error is not None:
                _log.warning("a list that took too long failed in the end: %s", error)
        elif error is not None:
            self._answered.set_exception(error)
        else:
            self._answered.set_result(answer)
