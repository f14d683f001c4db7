"""A release on trial beside the one in production: it makes the lists of some shoppers, or lists that nobody sees."""

import asyncio
import logging
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec

from tastemaker.errors import ContractError
from tastemaker.release.split import assigned
from tastemaker.serving.any_recommender import Answer, AnyRecommender
from tastemaker.serving.contract import RecommendationRequest, RecommendationResponse, ServedList
from tastemaker.serving.lane import Lane
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.problems import ApiProblem
from tastemaker.serving.records import ListRecord

__all__ = ["Candidate", "Trial", "WantedTrial"]

_log = logging.getLogger(__name__)

_SHADOWS: Final = 8  # lists that nobody sees may wait; more are dropped
_BUSY: Final = 2  # lists that somebody waits for; beyond it no list is made that nobody sees


@dataclass(frozen=True)
class WantedTrial:
    """What is to be tried.

    Attributes:
        candidate: the release.
        share: of the shoppers whose lists it makes.
        shadow: whether it also makes lists for the others, which nobody sees.
    """

    candidate: str
    share: float
    shadow: bool


class Candidate:
    """A recommender on trial, and the thread of its own that makes its lists: a slow one delays nobody else's.

    Attributes:
        name: of the release.
        recommender: it.
        lane: its thread.
        users: calls under way; counted by the event loop's thread alone.
        shadows: bounds the lists that nobody sees.
    """

    __slots__ = ("lane", "name", "recommender", "shadows", "users")

    def __init__(self, name: str, recommender: AnyRecommender, lane: Lane) -> None:
        self.name, self.recommender, self.lane = name, recommender, lane
        self.users = 0
        self.shadows = threading.BoundedSemaphore(_SHADOWS)


class Trial:
    """Divides the shoppers between the release in production and a candidate.

    Args:
        wanted: how.
        candidate: on trial.
        champion: the release in production.
        metrics: where to count.
        now: the platform's clock, for what is logged of a list that was not made.
        keep: takes what is to be logged of a list that nobody sees.
    """

    def __init__(
        self,
        wanted: WantedTrial,
        candidate: Candidate,
        champion: str,
        metrics: ServingMetrics,
        *,
        now: Callable[[], datetime],
        keep: Callable[[ListRecord], None],
    ) -> None:
        self.wanted, self.candidate = wanted, candidate
        self._champion, self._metrics, self._now, self._keep = champion, metrics, now, keep

    async def answers(
        self,
        requests: Sequence[RecommendationRequest],
        by_champion: Callable[[RecommendationRequest], Awaitable[Answer]],
    ) -> list[Answer]:
        """One list for each request, by the release that its shopper is assigned to.

        A list that the candidate fails to make is made by the champion, and says so in the log.
        """
        self.candidate.users += 1
        try:
            if len(requests) == 1:
                return [await self._one(requests[0], by_champion)]
            return await asyncio.gather(*(self._one(request, by_champion) for request in requests))
        finally:
            self.candidate.users -= 1

    async def _one(
        self, request: RecommendationRequest, by_champion: Callable[[RecommendationRequest], Awaitable[Answer]]
    ) -> Answer:
        candidate, lane = self.candidate, self.candidate.lane
        if not assigned(candidate.name, request.user, request.session, self.wanted.share):
            return await self._by_champion(request, by_champion)
        lane.waiting += 1
        try:
            return await lane.within_budget(candidate.recommender, request)
        except (ApiProblem, ContractError):
            raise
        except Exception as error:
            self._failed(error)
            response, record = await by_champion(request)
            return response, replace(record, build=lambda: _changed(record, stands_in_for=candidate.name))
        finally:
            lane.waiting -= 1

    async def _by_champion(
        self, request: RecommendationRequest, by_champion: Callable[[RecommendationRequest], Awaitable[Answer]]
    ) -> Answer:
        """What fails is logged here as well: without that, a release that fails as often would look worse."""
        try:
            return await by_champion(request)
        except (ApiProblem, ContractError):
            raise
        except Exception as error:
            self._keep(self._not_made(request, self._champion, error))
            raise

    def look(self, answers: Iterable[Answer], busy: int) -> None:
        """Count lists whose answer was sent, and have the candidate make those that nobody will see.

        Args:
            answers: that were sent.
            busy: lists that somebody waits for.
        """
        for response, record in answers:
            self._metrics.count_trial_list(response, record, shadow=False)
            known = record.request.user or record.request.session
            if self.wanted.shadow and known and response.release != self.candidate.name:
                self._shadow(response, record, busy)

    def _shadow(self, response: RecommendationResponse, record: ListRecord, busy: int) -> None:
        candidate = self.candidate
        crowded = busy > _BUSY or candidate.lane.waiting > 0
        if crowded or not candidate.shadows.acquire(blocking=False):
            self._metrics.shadows_dropped.inc()
            return
        try:
            candidate.lane.executor.submit(self._make_shadow, record.request, response.request_id)
        except RuntimeError:  # it was shut
            candidate.shadows.release()

    def _make_shadow(self, request: RecommendationRequest, shadow_of: str) -> None:
        """In the candidate's thread."""
        name = self.candidate.name
        try:
            response, made = self.candidate.recommender.answer(request)
            self._metrics.count_trial_list(response, made, shadow=True)
            self._keep(replace(made, build=lambda: _changed(made, shadow_of=shadow_of)))
        except Exception as error:
            self._failed(error)
            self._keep(self._not_made(request, name, error, shadow_of))
        finally:
            self.candidate.shadows.release()

    def _not_made(
        self, request: RecommendationRequest, release: str, error: Exception, shadow_of: str = ""
    ) -> ListRecord:
        """A list that was not made, for the log."""
        served = ServedList(
            request_id=uuid.uuid4().hex,
            served_at=self._now(),
            request=request,
            release=release,
            tier="static",
            tier_reason=f"the list fails ({type(error).__name__})",
            shadow_of=shadow_of,
            stands_in_for=release,
        )
        return ListRecord(served.request_id, request, {}, lambda: served)

    def _failed(self, error: Exception) -> None:
        failures = self._metrics.trial_failures.labels(self.candidate.name)
        failures.inc()
        _log.warning("release %s, which is on trial, fails: %s: %s", self.candidate.name, type(error).__name__, error)


def _changed(record: ListRecord, **changes: str) -> ServedList:
    return msgspec.structs.replace(record.build(), **changes)
