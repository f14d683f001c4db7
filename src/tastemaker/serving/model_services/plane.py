"""Loads a model in the background and answers with it, one request after the other, off the event loop."""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tastemaker.errors import ServingError, TastemakerError
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.model_services.any_model import AnyModel
from tastemaker.serving.problems import NO_RELEASE_RETRY_S, ApiProblem

__all__ = ["ModelPlane"]

_log = logging.getLogger(__name__)


class ModelPlane:
    """Keeps a model ready.

    Args:
        open_model: loads it; called off the event loop, again every ``retry_s`` until it succeeds.
        metrics: where to count.
        max_waiting: requests that may wait or be answered at once; beyond it callers are told to come back.
        budget_s: how long a call may take; beyond it likewise.
        refresh_s: pause between two looks for new and changed items.
        retry_s: pause after a failed load.
    """

    def __init__(
        self,
        open_model: Callable[[], AnyModel],
        metrics: ServingMetrics,
        *,
        max_waiting: int = 64,
        budget_s: float = 2.0,
        refresh_s: float = 0.5,
        retry_s: float = 2.0,
    ) -> None:
        self.metrics = metrics
        self._open, self._max_waiting, self._budget_s = open_model, max_waiting, budget_s
        self._refresh_s, self._retry_s = refresh_s, retry_s
        self._model: AnyModel | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._waiting = 0
        self._why_not_ready = "it has not been started"

    @property
    def ready(self) -> bool:
        """Whether requests are answered: the model is loaded and warm, and no shutdown has begun."""
        return self._model is not None and not self._stopping.is_set()

    @property
    def why_not_ready(self) -> str:
        """What it waits for."""
        return "it is shutting down" if self._stopping.is_set() else self._why_not_ready

    @property
    def model(self) -> AnyModel:
        """The warm model.

        Raises:
            ApiProblem: 503 while there is none.
        """
        if self._model is None or self._stopping.is_set():
            raise ApiProblem(
                503,
                "",
                f"no release serves yet: {self.why_not_ready}",
                "wait for GET /v2/health/ready to answer 200",
                retry_after_s=NO_RELEASE_RETRY_S,
            )
        return self._model

    def start(self) -> None:
        """Begin to load; returns at once. A second call does nothing."""
        if self._thread is not None:
            return
        self._why_not_ready = "the release is being loaded"
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._thread = threading.Thread(target=self._run, name="model-upkeep", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Refuse new requests and finish those begun. Blocks."""
        if self._thread is None or self._stopping.is_set():
            return
        self._stopping.set()
        if self._executor is not None:
            self._executor.shutdown(wait=True)
        self._thread.join(timeout_s)

    async def ask(self, requests: Sequence[Any]) -> list[Any]:
        """Answer the requests of one call, in their order.

        Raises:
            ApiProblem: 503 without a release, under too much load, or where it takes too long.
            ServingError: it is shutting down.
        """
        model = self.model
        if self._waiting + len(requests) > max(self._max_waiting, len(requests)):
            raise ApiProblem(503, "", f"overloaded: {self._waiting} requests wait", "try again later", retry_after_s=1)
        assert self._executor is not None
        self._count(len(requests))
        try:
            answering = asyncio.get_running_loop().run_in_executor(
                self._executor, lambda: [model.answer(request) for request in requests]
            )
            done, _ = await asyncio.wait((answering,), timeout=self._budget_s)
            if not done:
                answering.cancel()  # unless it is being answered already
                raise ApiProblem(
                    503, "", f"no answer within {self._budget_s:g} s", "send fewer at once, or later", retry_after_s=1
                )
            answers = answering.result()
        except RuntimeError as error:
            if self._stopping.is_set():  # the executor was shut down between the check and the call
                raise ServingError("it is shutting down") from error
            raise
        finally:
            self._count(-len(requests))
        for request, answer in zip(requests, answers, strict=True):
            self.metrics.lists.labels(request.surface, answer.tier).inc()
        return answers

    def _count(self, change: int) -> None:
        self._waiting += change
        self.metrics.waiting.set(self._waiting)

    def _run(self) -> None:
        while not self._stopping.is_set() and not self._load():
            self._stopping.wait(self._retry_s)
        failing = False
        while not self._stopping.wait(self._refresh_s):
            assert self._model is not None
            try:
                self._model.refresh()
                failing = False
            except Exception as error:  # items stay as they are until a look succeeds
                self.metrics.refresh_failures.inc()
                if not failing:
                    _log.warning("new and changed items are not seen, the look for them fails: %s", error)
                failing = True

    def _load(self) -> bool:
        assert self._executor is not None
        try:
            model = self._executor.submit(self._open_warm).result()
        except Exception as error:
            why = f"loading fails: {error}"
            if why != self._why_not_ready:  # said once, not at every attempt
                _log.warning("the model is not ready, %s", why, exc_info=not isinstance(error, TastemakerError))
            self._why_not_ready = why
            return False
        # What was loaded lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        self.metrics.release.labels(model.release_id).set(1)
        self._model = model
        _log.info("release %s serves", model.release_id)
        return True

    def _open_warm(self) -> AnyModel:
        model = self._open()
        model.warm_up()
        return model
