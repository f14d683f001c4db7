"""A list on its way to the thread that makes lists, which its caller may give up."""

import asyncio
import logging

from tastemaker.serving.any_recommender import Answer, AnyRecommender
from tastemaker.serving.contract import RecommendationRequest

__all__ = ["ListJob", "forget"]

_log = logging.getLogger(__name__)


class ListJob:
    """A list that is wanted.

    Args:
        recommender: that makes it.
        request: for whom.
        queued: when it was asked for, by the monotonic clock.
        queue_s: how long it may wait for its turn.
    """

    __slots__ = ("given_up", "queue_s", "queued", "recommender", "request")

    def __init__(
        self, recommender: AnyRecommender, request: RecommendationRequest, queued: float, queue_s: float
    ) -> None:
        self.recommender, self.request, self.queued, self.queue_s = recommender, request, queued, queue_s
        self.given_up = False


def forget(making: "asyncio.Future[Answer | None]") -> None:
    """Take what comes of a list that nobody waits for: an error of it is not worth a word at the loop's end."""
    if not making.cancelled() and (error := making.exception()):
        _log.warning("a list that took too long failed in the end: %s", error)
