"""The chosen configurations on other data, made in the very way that the ranker knows them, or not made at all."""

import time
from collections.abc import Sequence
from dataclasses import replace

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext, Model
from tastemaker.models.registry import create
from tastemaker.models.tuning import Tuned

__all__ = ["refit", "refit_or_keep", "refit_s"]

_GROWTH = 1.2  # by which a fit may take longer than the one that was measured: there is more data
_ENOUGH = 0.8  # share of the time of the trial for which a fit is begun: the estimate is no better than that
_FREE_S = 1.0  # a fit of less is made however late it is


def refit_s(tuned: Sequence[Tuned]) -> float:
    """Seconds that fitting these again is expected to take."""
    return _GROWTH * sum(one.trial.fit_s for one in tuned)


def refit(one: Tuned, train: Histories, context: FitContext) -> Model:
    """Fit one again.

    It is allowed the seconds that its trial was allowed, not those that are left: where time is short, models invert
    smaller matrices, pair fewer interactions and train for fewer steps, and a ranker that learned from the scores of
    the better model is misled by those of the worse one.
    """
    began = time.monotonic()
    model = create(one.trial.source, **one.trial.hyperparameters)
    model.fit(train, replace(context, deadline=began + one.allowed_s))
    context.progress(f"{one.trial.source}: fitted again in {time.monotonic() - began:.0f} s")
    return model


def refit_or_keep(
    tuned: Sequence[Tuned], train: Histories, context: FitContext, end: float
) -> tuple[list[Model], list[str]]:
    """Fit on everything what there is time for, the quickest first; of the others, the model of the trial stays.

    That one does not know what happened last, but it scores any history, and it is what the ranker learned from.

    Args:
        tuned: the sources.
        train: every user's interactions.
        context: of the fits.
        end: ``time.monotonic()`` by which all must be done.

    Returns:
        The models in the order of ``tuned``, and the names of the sources that stayed as they were.
    """
    models = [one.model for one in tuned]
    stayed: list[str] = []
    for at in sorted(range(len(tuned)), key=lambda at: tuned[at].trial.fit_s):
        one, missing = tuned[at], "there is no time to fit it again"
        if one.trial.fit_s <= _FREE_S or time.monotonic() + _ENOUGH * one.trial.fit_s <= end:
            try:
                models[at] = refit(one, train, context)
                continue
            except DataError as error:
                missing = str(error)
        context.progress(f"{one.trial.source}: stays as it was validated: {missing}")
        stayed.append(one.trial.source)
    return models, stayed
