"""The data plane: one recommender behind a queue, from the first byte loaded to the last list logged.

Making a list is numpy and SQLite work, so it runs in one thread of its own and the event loop stays free. A list that
is not there when its budget is spent, that waited too long, or that too many others wait before, is answered from what
is at hand: a lower tier is better than an error. One more thread loads the release, warms it up, and from then on looks
for new and changed items, for another release that is to take over, and for one that is to be tried.
"""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from time import monotonic

from tastemaker.errors import ServingError, TastemakerError
from tastemaker.serving.any_recommender import Answer, AnyRecommender
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.lane import Lane
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.problems import NO_RELEASE_RETRY_S, ApiProblem
from tastemaker.serving.records import ListRecord
from tastemaker.serving.requests import check_request
from tastemaker.serving.served_log import ServedListLog
from tastemaker.serving.succession import Serving, Succession, Successor
from tastemaker.serving.telemetry.answers import Answers
from tastemaker.serving.telemetry.telemetry import Telemetry
from tastemaker.serving.trial import Trial
from tastemaker.serving.trials import Trials, TrialTold

__all__ = ["Answer", "AnyRecommender", "DataPlane"]

_log = logging.getLogger(__name__)


class DataPlane:
    """Loads a recommender in the background and answers with it.

    Args:
        open_recommender: loads the release; called off the event loop, again every ``retry_s`` until it succeeds.
        open_log: makes the served-list log, not yet started; None keeps no log.
        metrics: where to count.
        max_waiting: lists that may wait or be in the making; beyond it callers get what is at hand.
        refresh_s: pause between two looks for new and changed items.
        retry_s: pause after a failed load.
        wanted: names what ``open_recommender`` would open now; looked at together with the items. Another name makes
            it open again, while the former recommender answers.
        open_telemetry: makes what looks at calls after their answer; called once, off the event loop.
        open_trials: makes what brings releases on trial beside the one that serves, given what logs lists that nobody
            sees, and the thread that makes lists; None tries none.
    """

    def __init__(
        self,
        open_recommender: Callable[[], AnyRecommender],
        open_log: Callable[[], ServedListLog] | None,
        metrics: ServingMetrics,
        *,
        max_waiting: int = 64,
        refresh_s: float = 0.5,
        retry_s: float = 2.0,
        wanted: Callable[[], str] = lambda: "",
        open_telemetry: Callable[[], Telemetry] = Telemetry,
        open_trials: Callable[[Callable[[ListRecord], None], Executor], Trials] | None = None,
    ) -> None:
        self.metrics = metrics
        self._open_recommender, self._wanted = open_recommender, wanted
        self._open_log, self._open_telemetry, self._open_trials = open_log, open_telemetry, open_trials
        self._telemetry = Telemetry()
        self._lane = Lane("recommender", max_waiting)
        self._refresh_s = refresh_s
        self._retry_s = retry_s
        self._serving: Serving | None = None
        self._succession: Succession | None = None
        self._trials: Trials | None = None
        self._log: ServedListLog | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._refreshed = 0.0  # when the last look for changes succeeded, by the monotonic clock
        self._why_not_ready = "it has not been started"

    @property
    def ready(self) -> bool:
        """Whether requests are answered: the release is loaded and warm, and no shutdown has begun."""
        return self._serving is not None and not self._stopping.is_set()

    @property
    def why_not_ready(self) -> str:
        """What it waits for."""
        return "it is shutting down" if self._stopping.is_set() else self._why_not_ready

    @property
    def recommender(self) -> AnyRecommender:
        """The warm recommender.

        Raises:
            ApiProblem: 503 while there is none.
        """
        return self._current().recommender

    @property
    def successor(self) -> Successor | None:
        """The release that is to take over, if any."""
        return None if self._succession is None else self._succession.successor

    @property
    def trial(self) -> TrialTold | None:
        """The release that is on trial, if any."""
        return None if self._trials is None else self._trials.told

    def _current(self) -> Serving:
        if self._serving is None or self._stopping.is_set():
            raise ApiProblem(
                503,
                "",
                f"no release serves yet: {self.why_not_ready}",
                "wait for GET /v2/health/ready to answer 200; a first release comes from: tastemaker train",
                retry_after_s=NO_RELEASE_RETRY_S,
            )
        return self._serving

    def start(self) -> None:
        """Begin to load; returns at once. A second call does nothing."""
        if self._thread is not None:
            return
        self._why_not_ready = "the release is being loaded"
        self._thread = threading.Thread(target=self._run, name="recommender-upkeep", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Refuse new requests, finish those begun, and hand the log's remainder to the broker. Blocks."""
        if self._thread is None or self._stopping.is_set():
            return
        self._stopping.set()
        self._lane.shut(wait=True)
        if self._trials is not None:
            self._trials.stop()
        self._thread.join(timeout_s)
        if self._log is not None:
            self._log.stop(timeout_s)
        self._telemetry.stop()

    def check(self, request: RecommendationRequest, where: str = "") -> None:
        """Check what only recipes and catalogue know.

        Args:
            request: decoded, so its types are right.
            where: path of the request in the body, ending in a dot, such as ``instances[2].``.

        Raises:
            ApiProblem: 422, naming the unknown surface or item, or what the surface needs; 503 without a release.
        """
        recommender = self.recommender
        check_request(request, recommender.recipes, where)
        for place, item_id in enumerate(request.exclude):
            if not recommender.knows_item(item_id):
                raise ApiProblem(
                    422,
                    f"{where}exclude[{place}]",
                    f"unknown item {item_id!r}",
                    "send ids of items in the catalogue; a new item is known a second after the collector accepted it",
                )

    async def recommend(
        self, requests: Sequence[RecommendationRequest], headers: Mapping[str, str] | None = None
    ) -> Answers:
        """Make one list for each request, each within the budget of its surface.

        Args:
            requests: decoded and checked.
            headers: of the call, which say what trace it is of.

        Raises:
            ApiProblem: 503 without a release.
            ContractError: a request asks for what does not exist.
            ServingError: the recommender cannot answer.
        """
        serving = self._current()  # a release that takes over meanwhile changes nothing for these
        serving.users += 1
        if serving.trial is not None:
            return await self._on_trial(serving, serving.trial, requests, Answers(headers))
        self._count(len(requests))
        answers, lane, recommender = Answers(headers), self._lane, serving.recommender
        try:
            if len(requests) == 1:
                answers.append(await lane.within_budget(recommender, requests[0]))
            else:
                made = (lane.within_budget(recommender, request) for request in requests)
                answers.extend(await asyncio.gather(*made))
            answers.done()
            return answers
        except RuntimeError as error:
            if self._stopping.is_set():  # the executor was shut down between the check and the call
                raise ServingError("it is shutting down") from error
            raise
        finally:
            self._count(-len(requests))
            serving.users -= 1

    async def _on_trial(
        self, serving: Serving, trial: Trial, requests: Sequence[RecommendationRequest], answers: Answers
    ) -> Answers:
        """As :meth:`recommend`, while a release is on trial."""

        async def by_champion(request: RecommendationRequest) -> Answer:
            self._count(1)
            try:
                return await self._lane.within_budget(serving.recommender, request)
            finally:
                self._count(-1)

        try:
            answers.extend(await trial.answers(requests, by_champion))
            answers.done()
            return answers
        except RuntimeError as error:
            if self._stopping.is_set():
                raise ServingError("it is shutting down") from error
            raise
        finally:
            serving.users -= 1

    async def record(self, answers: Answers) -> None:
        """Count and log lists whose answer was sent."""
        for response, record in answers:
            self.metrics.count_list(record.request.surface, response, record)
            if self._log is not None:
                self._log.offer_later(record)
                self.metrics.log_waiting.set(self._log.waiting)
        self._telemetry.look(answers)
        if self._serving is not None and self._serving.trial is not None:
            self._serving.trial.look(answers, self._lane.waiting)

    def _keep(self, record: ListRecord) -> None:
        """Log a list that nobody saw."""
        if self._log is not None:
            self._log.offer_later(record)

    def _count(self, change: int) -> None:
        self._lane.waiting += change
        self.metrics.waiting.set(self._lane.waiting)

    def _run(self) -> None:
        try:
            self._telemetry = self._open_telemetry()
        except Exception as error:  # lists matter more
            _log.warning("no request is logged or traced: %s", error)
        while not self._stopping.is_set() and not self._load():
            self._stopping.wait(self._retry_s)
        failing = False
        while not self._stopping.wait(self._refresh_s):
            assert self._serving is not None
            assert self._succession is not None
            self._serving = self._succession.look(self._serving)
            if self._trials is not None:
                self._trials.look(self._serving)
            try:
                self._serving.recommender.refresh()
                self._refreshed, failing = monotonic(), False
            except Exception as error:  # items stay as they are until a look succeeds
                self.metrics.refresh_failures.inc()
                if not failing:
                    _log.warning("new and changed items are not seen, the look for them fails: %s", error)
                failing = True

    def _load(self) -> bool:
        lane = self._lane.executor
        try:
            trials = None if self._open_trials is None else self._open_trials(self._keep, lane)
            succession = Succession(
                self._wanted,
                self._open_recommender,
                lane,
                self.metrics,
                retry_s=self._retry_s,
                at_hand=None if trials is None else trials.hand_over,
            )
            recommender = lane.submit(succession.first).result()
            if self._open_log is not None and self._log is None:
                log = self._open_log()
                log.start()
                self._log = log
        except Exception as error:
            why = f"loading fails: {error}"
            if why != self._why_not_ready:  # said once, not at every attempt
                unexpected = not isinstance(error, TastemakerError)
                _log.warning("the recommender is not ready, %s", why, exc_info=unexpected)
            self._why_not_ready = why
            return False
        # Everything loaded so far lives as long as the process: the collector need not look at it again.
        # Measured: the slowest of 100 requests drops from 70-95 ms to 3-6 ms.
        gc.collect()
        gc.freeze()
        self.metrics.release.labels(recommender.release_id).set(1)
        self._refreshed = monotonic()
        self.metrics.refresh_age.set_function(lambda: monotonic() - self._refreshed)
        self._succession, self._trials, self._serving = succession, trials, Serving(recommender)
        _log.info("release %s serves", recommender.release_id)
        return True
