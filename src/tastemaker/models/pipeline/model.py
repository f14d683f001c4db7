"""The pipeline as one model: tuned sources offer candidates, a ranker orders them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.pipeline.broaden import Broadening, choose_places, trade_off
from tastemaker.models.pipeline.candidates import find_candidates
from tastemaker.models.pipeline.exposure import exposed
from tastemaker.models.pipeline.facts import ItemFacts
from tastemaker.models.pipeline.features import feature_names, ranking_features
from tastemaker.models.pipeline.lists import Lists, join
from tastemaker.models.pipeline.refit import refit, refit_or_keep, refit_s
from tastemaker.models.pipeline.sources import choose_sources
from tastemaker.models.pipeline.stack import Stack, fit_stack
from tastemaker.models.protocol import FitContext, Model, Scores
from tastemaker.models.ranking import blocks, top_k
from tastemaker.models.tuning import Tuned, tune
from tastemaker.models.validation import Validation, validation_for

__all__ = ["Pipeline"]

_BUDGET_S = 1_800.0  # where nobody set a deadline
_RANKING = 0.1  # share of the budget that is left for ranking afterwards
_STACK = 0.15  # share of the budget for the ranker and what is around it
_JUDGES = 0.3  # share of the lists that choose between blend and ranker
_OFFERED = 1e3  # (float32 keeps differences of 1e-4 there) lifts candidates above all other items


class Pipeline:
    """Tunes every source on a part of the training data, learns to rank what they offer, fits them again on all of it.

    Attributes:
        each: candidates that a source may name.
        report: after the fit: the protocol, every trial, the configuration chosen, and what the stack measured.
    """

    name = "tastemaker"

    def __init__(self, *, each: int = 100, sources: tuple[str, ...] = (), ndcg_for_coverage: float = 0.0) -> None:
        """Set up.

        Args:
            each: candidates that a source may name.
            sources: names of the models to blend; chosen by the data when left out.
            ndcg_for_coverage: share of the NDCG that may be given for lists that show more of the catalogue. The
                report has the curve, whatever is chosen.
        """
        self.each, self.sources, self.ndcg_for_coverage = each, sources, ndcg_for_coverage
        self.report: dict[str, Any] = {}
        self._broadening: Broadening | None = None

    @classmethod
    def space(cls, train: Histories) -> Mapping[str, tuple[Any, ...]]:
        """Nothing: it tunes itself."""
        return {}

    def fit(self, train: Histories, context: FitContext) -> Self:
        """Tune, stack, and fit again.

        Raises:
            DataError: there is nothing to learn from.
        """
        clock = _Clock.of(context)
        self.exclude_seen = context.leaves_out_seen(train)
        part = validation_for(train, context)
        names = self.sources or choose_sources(train, part.protocol, exclude_seen=self.exclude_seen)
        context.progress(f"{part.protocol}: {part.history.n_users:,} validation users; sources {', '.join(names)}")
        tuned = self._tune(names, part, context, clock)
        if not tuned:
            raise DataError("no source could be fitted; see the lines above for the reason of each")
        facts = ItemFacts.of(part.train, context.items)
        self._order = self._stack(tuned, part, facts, context, clock)
        # First what lists are made by: the curve is told as far as there is time, unless somebody asked for coverage.
        final, stayed = refit_or_keep(tuned, train, context, clock.end)
        self._use([one.model for one in tuned], part.train, facts)
        until = None if self.ndcg_for_coverage > 0 else clock.end
        k, curve = context.depth, []
        if until is None or time.monotonic() < until:
            curve = trade_off(self._lists_and_scores, part.history, part.relevant, k, seed=context.seed, until=until)
        self._use(final, train, ItemFacts.of(train, context.items))
        places = choose_places(curve, self.ndcg_for_coverage) if self.ndcg_for_coverage > 0 else 0
        if places:
            self._broadening = Broadening.of(self._lists_and_scores, train, k, places, seed=context.seed)
        self.report = {
            "protocol": part.protocol,
            "validation_users": part.history.n_users,
            "trials": [asdict(trial) for one in tuned for trial in one.trials],
            "chosen": {one.trial.source: dict(one.trial.hyperparameters) for one in tuned},
            "blend": dict(zip((one.trial.source for one in tuned), self._order.blend.tolist(), strict=True)),
            "not_fitted_again": stayed,
            "ndcg": self._order.measured,
            "coverage_for_ndcg": [asdict(point) for point in curve],
            "places_for_coverage": places,
            "seconds": round(time.monotonic() - clock.begun, 1),
        }
        return self

    def score(self, histories: Histories) -> Scores:
        """Candidates first, in the ranker's order; then everything else by popularity."""
        if self._broadening is None:
            return self._scored(histories)[0]
        scores, everything = self._scored(histories, everything=True)
        ranked = top_k(scores, self._broadening.k)
        lists = exposed(ranked, everything, self._broadening.bonus, self._broadening.places)
        # The list as it is wanted lies above everything else, best first.
        rows, places = np.nonzero(lists >= 0)
        scores[rows, lists[rows, places]] = 2 * _OFFERED - places
        return scores

    def _use(self, models: list[Model], train: Histories, facts: ItemFacts) -> None:
        """Score by these sources, and by what this training data says of items."""
        self._models, self._facts = models, facts
        popularity = train.popularity()
        self._popularity = popularity / max(1.0, float(popularity.max()))
        self._broadening = None

    def _scored(self, histories: Histories, *, everything: bool = False) -> tuple[Scores, Scores]:
        """Scores with candidates on top; and, when asked for, the blend over the whole catalogue."""
        found = find_candidates(
            self._models,
            histories,
            self.each,
            exclude_seen=self.exclude_seen,
            blend=self._order.blend if everything else None,
        )
        ranked = self._order.score(ranking_features(found, histories, self._facts))
        scores = np.repeat(self._popularity[None, :], histories.n_users, axis=0)
        rows, places = np.nonzero(found.items >= 0)
        scores[rows, found.items[rows, places]] = _lifted(ranked[rows, places])
        return scores, scores if found.everything is None else found.everything

    def _lists_and_scores(self, histories: Histories, k: int) -> tuple[npt.NDArray[np.int32], Scores]:
        """Lists without broadening, and the blend: ``[users, k]`` and ``[users, items]``."""
        ranked, every = [], []
        for users in blocks(histories.n_users, histories.n_items):
            asked = histories.take(users)
            scores, everything = self._scored(asked, everything=True)
            if self.exclude_seen:
                scores[asked.rows, asked.items] = -np.inf
            ranked.append(top_k(scores, k))
            every.append(everything)
        return np.concatenate(ranked), np.concatenate(every)

    def _tune(self, names: tuple[str, ...], part: Validation, context: FitContext, clock: "_Clock") -> list[Tuned]:
        tuned: list[Tuned] = []
        for at, name in enumerate(names):
            # What has been fitted makes lists and is fitted again; the rest of the time is shared among those to come.
            left = clock.end - time.monotonic() - clock.stack_s - _listing_s(tuned) - refit_s(tuned)
            waiting = sum(_weight(other) for other in names[at:])
            slice_s = left * _weight(name) / waiting
            if slice_s <= 0:
                context.progress(f"{name}: left out, the budget is spent")
                continue
            until = time.monotonic() + slice_s / 2 if name == "two-tower" else time.monotonic() + slice_s * 2 / 3
            found = tune(name, part, context, k=context.depth, exclude_seen=self.exclude_seen, until=until)
            if found is not None:
                tuned.append(found)
        return tuned

    def _stack(
        self, tuned: list[Tuned], part: Validation, facts: ItemFacts, context: FitContext, clock: "_Clock"
    ) -> Stack:
        """Learn to order what the sources offer."""
        learn, judge = self._lists([one.model for one in tuned], part, facts, context.seed)
        more = self._earlier(tuned, part, context, clock)
        if more is not None:
            learn = join(learn, more)
        sources = [one.trial.source for one in tuned]
        names = feature_names(sources, facts)
        end = max(clock.end - refit_s(tuned), time.monotonic() + clock.stack_s / 2)
        stack = fit_stack(
            learn, judge, len(tuned), k=context.depth, context=replace(context, deadline=end), names=names
        )
        weights = zip(sources, stack.blend, strict=True)
        context.progress("blend: " + ", ".join(f"{source} {weight:.2f}" for source, weight in weights))
        return stack

    def _lists(self, models: list[Model], part: Validation, facts: ItemFacts, seed: int) -> tuple[Lists, Lists]:
        """Lists of the validation users: those to learn from, and those to judge by."""
        lists = Lists.of(models, part.history, part.relevant, facts, each=self.each, exclude_seen=self.exclude_seen)
        judge = np.random.default_rng(seed).random(len(lists.items)) < _JUDGES
        return lists.take(np.flatnonzero(~judge)), lists.take(np.flatnonzero(judge))

    def _earlier(self, tuned: list[Tuned], part: Validation, context: FitContext, clock: "_Clock") -> Lists | None:
        """More lists: a second validation part is held out of the first one's training data."""
        if time.monotonic() + _listing_s(tuned) + 2 * refit_s(tuned) + clock.stack_s > clock.end:
            return None
        try:
            second = validation_for(part.train, replace(context, seed=context.seed + 1, protocol=part.protocol))
            models = [refit(one, second.train, context) for one in tuned]
        except DataError as error:
            context.progress(f"no second validation part: {error}")
            return None
        facts = ItemFacts.of(second.train, context.items)
        return Lists.of(models, second.history, second.relevant, facts, each=self.each, exclude_seen=self.exclude_seen)


def _listing_s(tuned: Sequence[Tuned]) -> float:
    """Seconds in which these score the validation users once more."""
    return sum(one.trial.score_s for one in tuned)


def _weight(name: str) -> float:
    """Of a source in the sharing of the budget."""
    return {"two-tower": 4.0, "popularity": 0.1}.get(name, 1.0)


def _lifted(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scores of candidates, above those of all other items."""
    return np.asarray(np.clip(scores, -_OFFERED / 2, _OFFERED / 2) + _OFFERED, dtype=np.float32)


@dataclass(frozen=True)
class _Clock:
    """The budget: when the fit began, when it must end, and how long the stack may take."""

    begun: float
    end: float
    stack_s: float

    @classmethod
    def of(cls, context: FitContext) -> Self:
        total = min(context.remaining_s, _BUDGET_S) if context.deadline is None else context.remaining_s
        now = time.monotonic()
        return cls(now, now + (1.0 - _RANKING) * total, _STACK * total)
