"""A thread that makes lists, and the queue before it: within a budget, or from what is at hand."""

from concurrent.futures import Executor, ThreadPoolExecutor
from time import monotonic

from tastemaker.serving.any_recommender import Answer, AnyRecommender
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.list_job import ListJob

__all__ = ["Lane"]

# Of a budget; the rest is for the list at hand and for its way to the caller, so that these come within it as well.
_FOR_MAKING = 0.85


class Lane:
    """One thread, one list at a time.

    Args:
        name: of its thread.
        max_waiting: lists that may wait or be in the making; beyond it callers get what is at hand.

    Attributes:
        waiting: lists that are waited for; counted by the event loop's thread alone.
        busy_since: when the list in the making was begun, by the monotonic clock.
    """

    __slots__ = ("_executor", "_max_waiting", "busy_since", "waiting")

    def __init__(self, name: str, max_waiting: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._max_waiting = max_waiting
        self.waiting = 0
        self.busy_since: float | None = None

    @property
    def executor(self) -> Executor:
        """The thread, for other work in its turn."""
        return self._executor

    def shut(self, *, wait: bool) -> None:
        """Take no more lists."""
        self._executor.shutdown(wait=wait)

    async def within_budget(self, recommender: AnyRecommender, request: RecommendationRequest) -> Answer:
        """One list; from what is at hand where making it would take too long."""
        recipe = recommender.recipes.get(request.surface)
        total_s = recipe.budget.total / 1_000 if recipe else 1.0
        now, busy_since = monotonic(), self.busy_since
        if busy_since is not None and now - busy_since > total_s:
            return recommender.shed(request, f"the list before is in the making for {now - busy_since:.1f} s")
        if self.waiting > self._max_waiting:
            return recommender.shed(request, f"overloaded: {self.waiting} lists are being made or wait")
        job = ListJob(recommender, request, now, recipe.budget.queue / 1_000 if recipe else total_s)
        self._executor.submit(job.run, self._make)
        answer = await job.wait(total_s * _FOR_MAKING)
        if answer is not None:
            return answer
        if not job.begun:
            return recommender.shed(request, _waited(monotonic() - now))
        return recommender.shed(request, f"no list within the budget of {total_s * 1_000:.0f} ms")

    def _make(self, job: ListJob) -> Answer:
        """In the thread."""
        began = self.busy_since = monotonic()
        try:
            waited = began - job.queued
            if waited > job.queue_s:
                return job.recommender.shed(job.request, _waited(waited))
            return job.recommender.answer(job.request, waited * 1_000)
        finally:
            self.busy_since = None


def _waited(seconds: float) -> str:
    return f"overloaded: it waited {seconds * 1_000:.0f} ms for its turn"
