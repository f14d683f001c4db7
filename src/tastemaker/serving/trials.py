"""Follows the release that is to be tried: loads it beside the one that answers, and takes it away again.

Everything but the loading happens in the upkeep's thread, after each look of the succession. A candidate that is
promoted is handed to the succession as it is, and the release that it replaces stays in memory for a while: going back
to it takes one look, not a load.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Final, Literal

from tastemaker.errors import TastemakerError
from tastemaker.serving.any_recommender import AnyRecommender
from tastemaker.serving.lane import Lane
from tastemaker.serving.metrics import ServingMetrics
from tastemaker.serving.records import ListRecord
from tastemaker.serving.succession import Serving, beside_others, warmed_up
from tastemaker.serving.trial import Candidate, Trial, WantedTrial

__all__ = ["TrialTold", "Trials"]

_log = logging.getLogger(__name__)

_MAX_WAITING: Final = 64
_KEEP_S: Final = 900.0  # for so long a release that was replaced by its candidate is at hand for a rollback


@dataclass(frozen=True)
class TrialTold:
    """What is told of a release on trial.

    Attributes:
        candidate: the release.
        state: how far it is; with ``on`` its share and shadow are in force for every list from now on.
        share: of the shoppers.
        shadow: whether it makes lists that nobody sees.
        problem: why the last attempt to load it failed; empty before one has.
    """

    candidate: str
    state: Literal["on", "loading", "failed"]
    share: float
    shadow: bool
    problem: str = ""


class Trials:
    """The trials of one data plane, one at a time.

    Args:
        wanted: what is to be tried now; None for nothing.
        open_release: loads a release by its name; called in a thread of its own.
        metrics: where to count.
        now: the platform's clock.
        keep: takes what is to be logged of a list that nobody sees.
        maker: whose thread makes the lists of the release that serves.
        retry_s: pause after a failed load.
    """

    def __init__(
        self,
        wanted: Callable[[], WantedTrial | None],
        open_release: Callable[[str], AnyRecommender],
        metrics: ServingMetrics,
        now: Callable[[], datetime],
        *,
        keep: Callable[[ListRecord], None],
        maker: Executor,
        retry_s: float = 5.0,
    ) -> None:
        self._wanted, self._open, self._metrics, self._maker = wanted, open_release, metrics, maker
        self._now, self._keep, self._retry_s = now, keep, retry_s
        self._trial: Trial | None = None
        self._loading: threading.Thread | None = None
        self._loaded: tuple[str, AnyRecommender] | None = None
        self._failed: tuple[str, float] | None = None  # what failed, and when it is tried again
        self._kept: tuple[Serving, float] | None = None  # a former champion, and until when it is kept
        self._retired: list[Candidate | Serving] = []
        self._stopped = False
        self.told: TrialTold | None = None

    def look(self, serving: Serving) -> None:
        """Bring what is wanted beside what serves, or away from it."""
        self._close_retired()
        try:
            wanted, problem = self._wanted(), ""
        except Exception as error:  # a damaged file: nothing is tried until it reads again
            wanted, problem = None, str(error)
            if self.told is None or self.told.problem != problem:
                _log.warning("what is to be tried cannot be told: %s", error)
        if wanted is not None and wanted.candidate == serving.recommender.release_id:
            wanted = None
        if self._trial is not None and (wanted is None or wanted.candidate != self._trial.candidate.name):
            self._end(serving)
        if wanted is not None:
            self._bring(wanted, serving.recommender.release_id)
        serving.trial = self._trial
        # Told once it is so: from then on no list is begun otherwise.
        if self._trial is not None:
            now = self._trial.wanted
            self.told = TrialTold(now.candidate, "on", now.share, now.shadow)
            self._refresh(self._trial.candidate)
        elif wanted is None:
            self._failed = None
            self.told = TrialTold("", "failed", 0.0, False, problem) if problem else None

    def hand_over(self, name: str, serving: Serving) -> AnyRecommender | None:
        """A release that is warm already, because it is on trial or was in production a moment ago.

        Args:
            name: of the release that is to serve.
            serving: what it replaces; kept for a while if there is such a release.
        """
        if self._trial is not None and self._trial.candidate.name == name:
            candidate, self._trial = self._trial.candidate, None
            self._metrics.trial_share.labels(name).set(0)
            self._retired.append(candidate)  # its thread ends; what it made lists with goes on
            recommender = candidate.recommender
        elif self._kept is not None and self._kept[0].recommender.release_id == name:
            recommender = self._kept[0].recommender
            self._kept = None
            try:
                recommender.refresh()
            except Exception as error:  # as with the one that serves: it goes on with what it knows
                _log.warning("release %s comes back with items as they were: %s", name, error)
        else:
            return None
        if self._kept is not None:
            self._retired.append(self._kept[0])
        self._kept = serving, monotonic() + _KEEP_S
        return recommender

    def stop(self) -> None:
        """End the candidate's thread, after the list that it is at."""
        self._stopped = True
        if self._trial is not None:
            self._trial.candidate.lane.shut(wait=True)

    def _bring(self, wanted: WantedTrial, champion: str) -> None:
        if self._trial is not None:
            if self._trial.wanted != wanted:
                self._begin_trial(wanted, self._trial.candidate, champion)
            return
        if self._loading is not None and self._loading.is_alive():
            return
        self._loading = None
        loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded[0] == wanted.candidate:
            name, recommender = loaded
            self._begin_trial(wanted, Candidate(name, recommender, Lane("candidate", _MAX_WAITING)), champion)
        elif self._failed is None or self._failed[0] != wanted.candidate or monotonic() >= self._failed[1]:
            problem = self.told.problem if self.told and self.told.candidate == wanted.candidate else ""
            self.told = TrialTold(wanted.candidate, "loading", wanted.share, wanted.shadow, problem)
            self._loading = threading.Thread(
                target=self._load, args=(wanted,), name="recommender-candidate", daemon=True
            )
            self._loading.start()

    def _begin_trial(self, wanted: WantedTrial, candidate: Candidate, champion: str) -> None:
        self._trial = Trial(wanted, candidate, champion, self._metrics, now=self._now, keep=self._keep)
        self._metrics.trial_share.labels(wanted.candidate).set(wanted.share)
        _log.info("release %s is on trial with %g %% of the shoppers", wanted.candidate, 100 * wanted.share)

    def _load(self, wanted: WantedTrial) -> None:
        name = wanted.candidate
        try:
            with beside_others():
                recommender = warmed_up(self._open(name))
        except Exception as error:
            problem = str(error) or type(error).__name__
            _log.warning(
                "release %s cannot be tried: %s", name, problem, exc_info=not isinstance(error, TastemakerError)
            )
            self._failed = name, monotonic() + self._retry_s
            self.told = TrialTold(name, "failed", wanted.share, wanted.shadow, problem)
            return
        self._loaded = name, recommender

    def _end(self, serving: Serving) -> None:
        assert self._trial is not None
        candidate, self._trial = self._trial.candidate, None
        serving.trial = None  # no list is begun by it from here on
        self._retired.append(candidate)
        self._metrics.trial_share.labels(candidate.name).set(0)
        _log.info("the trial of release %s is over", candidate.name)

    def _refresh(self, candidate: Candidate) -> None:
        try:
            candidate.recommender.refresh()
        except Exception:  # the release that serves tells why
            self._metrics.refresh_failures.inc()

    def _close_retired(self) -> None:
        """Close what nobody waits for anymore."""
        if self._kept is not None and monotonic() >= self._kept[1]:
            self._retired.append(self._kept[0])
            self._kept = None
        for one in [one for one in self._retired if not one.users]:
            self._retired.remove(one)
            try:
                if isinstance(one, Candidate):  # its thread holds a connection of its own
                    one.lane.executor.submit(one.recommender.close)
                    one.lane.shut(wait=False)
                else:
                    one.recommender.close()
                    self._maker.submit(one.recommender.close).result()
            except Exception as error:
                _log.warning("release %s was not closed: %s", one.recommender.release_id, error)
