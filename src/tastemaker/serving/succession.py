"""A new release takes over from the one that answers: loaded beside it, warmed up, and put in its place at once."""

import gc
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal

from tastemaker.errors import TastemakerError
from tastemaker.serving.any_recommender import AnyRecommender
from tastemaker.serving.contract import RecommendationRequest
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.trial import Trial

__all__ = ["Serving", "Succession", "Successor", "beside_others", "warmed_up"]

_log = logging.getLogger(__name__)

_WARM_UP_LISTS: Final = 5
_MAX_PAUSE_S: Final = 60.0
# Whoever makes a list waits for the interpreter for as long as the loading thread may keep it: a tenth of the default.
_TURN_S: Final = 0.0005


class Serving:
    """A recommender that answers, and how many are waiting for its lists.

    Attributes:
        recommender: which answers.
        users: calls under way; counted by the event loop's thread alone.
        trial: of another release beside it, if there is one.
    """

    __slots__ = ("recommender", "trial", "users")

    def __init__(self, recommender: AnyRecommender) -> None:
        self.recommender = recommender
        self.users = 0
        self.trial: Trial | None = None


@dataclass(frozen=True)
class Successor:
    """A release that is to serve and does not yet.

    Attributes:
        name: of the release, as the pointer says.
        state: how far it is.
        problem: why the last attempt failed; empty before one has.
    """

    name: str
    state: Literal["loading", "failed"]
    problem: str = ""


class Succession:
    """Follows the name of the release that is wanted. Everything but the loading happens in the caller's thread.

    Args:
        wanted: names what ``open_recommender`` would open now.
        open_recommender: loads it; called in a thread of its own.
        executor: whose thread makes the lists.
        metrics: where to count.
        retry_s: pause after a failed load; doubles with each failure, up to a minute.
        at_hand: gives a release that is warm already, in exchange for the one that serves, which is then its to close;
            None where it has no such release.
    """

    def __init__(
        self,
        wanted: Callable[[], str],
        open_recommender: Callable[[], AnyRecommender],
        executor: Executor,
        metrics: ServingMetrics,
        *,
        retry_s: float,
        at_hand: Callable[[str, Serving], AnyRecommender | None] | None = None,
    ) -> None:
        self._at_hand = at_hand
        self._wanted, self._open, self._executor, self._metrics = wanted, open_recommender, executor, metrics
        self._retry_s = self._pause_s = retry_s
        self._name = ""  # what serves
        self._loading: threading.Thread | None = None
        self._loaded: tuple[str, AnyRecommender] | None = None
        self._failed: tuple[str, float] | None = None  # what failed, and when it is tried again
        self._retired: list[Serving] = []
        self.successor: Successor | None = None

    def first(self) -> AnyRecommender:
        """Load what is wanted at the start; what is called for later is compared with this."""
        name = self._wanted()
        recommender = warmed_up(self._open())
        self._name = name
        return recommender

    def look(self, serving: Serving) -> Serving:
        """Begin to load another release if one is wanted, or let one that is loaded take over.

        Args:
            serving: what answers now.

        Returns:
            What is to answer from now on.
        """
        self._close_retired()
        if self._loading is not None:
            if self._loading.is_alive():
                return serving
            self._loading = None
        try:
            name = self._wanted()
        except Exception as error:
            self._tell_failure(self._name, error)
            return serving
        loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded[0] == name:
            return self._take_over(serving, *loaded)
        if name == self._name:
            self._settled()
        elif self._at_hand is not None and (warm := self._at_hand(name, serving)) is not None:
            return self._take_over(serving, name, warm, retire=False)
        elif self._failed is None or self._failed[0] != name or monotonic() >= self._failed[1]:
            self._begin(name)
        return serving

    def _begin(self, name: str) -> None:
        self._metrics.release_pending.set(1)
        problem = self.successor.problem if self.successor and self.successor.name == name else ""
        self.successor = Successor(name, "loading", problem)
        self._loading = threading.Thread(target=self._load, args=(name,), name="recommender-successor", daemon=True)
        self._loading.start()

    def _load(self, name: str) -> None:
        began = monotonic()
        try:
            with beside_others():
                recommender = warmed_up(self._open())
            for _ in range(_WARM_UP_LISTS):  # one by one, so that lists that someone waits for come in between
                self._executor.submit(recommender.answer, RecommendationRequest()).result()
        except Exception as error:
            again = self._failed is not None and self._failed[0] == name
            self._pause_s = min(2 * self._pause_s, _MAX_PAUSE_S) if again else self._retry_s
            self._failed = name, monotonic() + self._pause_s
            self._metrics.release_swaps.labels("failed").inc()
            self._tell_failure(name, error)
            return
        self._metrics.release_load.set(monotonic() - began)
        self._loaded = name, recommender

    def _take_over(self, serving: Serving, name: str, recommender: AnyRecommender, *, retire: bool = True) -> Serving:
        former = serving.recommender.release_id
        self._name = name
        if retire:
            self._retired.append(serving)
        self._settled()
        self._metrics.release_swaps.labels("done").inc()
        if former != recommender.release_id:
            self._metrics.release.labels(former).set(0)
        self._metrics.release.labels(recommender.release_id).set(1)
        _log.info("release %s serves, after %s", recommender.release_id, former)
        return Serving(recommender)

    def _settled(self) -> None:
        self.successor = self._failed = None
        self._metrics.release_pending.set(0)

    def _tell_failure(self, name: str, error: Exception) -> None:
        problem = str(error) or type(error).__name__
        self._metrics.release_pending.set(1)
        known = self.successor
        if known is None or problem != known.problem:
            _log.warning(
                "release %s cannot take over, the one before goes on serving: %s",
                name,
                problem,
                exc_info=None if isinstance(error, TastemakerError) else error,
            )
        self.successor = Successor(name, "failed", problem)

    def _close_retired(self) -> None:
        """Close former ones that nobody waits for anymore: in this thread, and in the one that makes the lists."""
        for serving in [one for one in self._retired if not one.users]:
            self._retired.remove(serving)
            try:
                serving.recommender.close()
                self._executor.submit(serving.recommender.close).result()
            except Exception as error:
                _log.warning("release %s was replaced, but not closed: %s", serving.recommender.release_id, error)


def warmed_up(recommender: AnyRecommender) -> AnyRecommender:
    """The recommender, after what only its first lists would pay for."""
    recommender.warm_up()
    for _ in range(_WARM_UP_LISTS):
        recommender.answer(RecommendationRequest())
    return recommender


@contextmanager
def beside_others() -> Iterator[None]:
    """Keep a long piece of work out of the way of the threads that answer.

    The collector would look at all of the new objects again and again while they are made; it looks once, at the end,
    and never again, because they live for long.
    """
    turn = sys.getswitchinterval()
    sys.setswitchinterval(min(turn, _TURN_S))
    gc.disable()
    try:
        yield
        gc.collect()
        gc.freeze()
    finally:
        gc.enable()
        sys.setswitchinterval(turn)
