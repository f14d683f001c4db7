"""Search for the hyperparameters of one model within a budget."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tastemaker.errors import DataError
from tastemaker.models.histories import Histories
from tastemaker.models.protocol import FitContext, Model
from tastemaker.models.quality import validation_ndcg
from tastemaker.models.registry import create, load_class
from tastemaker.models.trial_log import Trial, TrialLog
from tastemaker.models.validation import Validation, validation_for

__all__ = ["Tuned", "fit_tuned", "tune"]

_SEARCH = 0.6  # share of the time that the search may take; the rest is for the fit on everything


@dataclass(frozen=True, eq=False)
class Tuned:
    """The best configuration of a model.

    Attributes:
        trial: of the best.
        model: fitted on the training part of the validation split.
        trials: all of them, in their order.
        allowed_s: seconds that the fit of the best was allowed to take; models make less of their hyperparameters
            where time is short, and the same only in the same time.
    """

    trial: Trial
    model: Model
    trials: tuple[Trial, ...]
    allowed_s: float


def fit_tuned(
    name: str, train: Histories, context: FitContext, fixed: Mapping[str, Any] | None = None
) -> tuple[Model, dict[str, Any]]:
    """Search on a validation part of the training data, then fit the best on all of it.

    Args:
        name: of the model.
        train: every user's interactions.
        context: of the fit; the search takes most of the time until its deadline.
        fixed: hyperparameters that are not searched for.

    Returns:
        The fitted model, and what the report says: the protocol, every trial, the configuration chosen.

    Raises:
        DataError: the model cannot be fitted to this data.
    """
    part = validation_for(train, context)
    found = tune(
        name,
        part,
        context,
        k=context.depth,
        exclude_seen=context.leaves_out_seen(train),
        until=time.monotonic() + _SEARCH * context.remaining_s,
        fixed=fixed,
    )
    if found is None:
        raise DataError(f"{name} could not be fitted to the validation part; see the lines above for the reason")
    chosen = {**found.trial.hyperparameters, **(fixed or {})}
    model = create(name, **chosen).fit(train, context)
    trials = [asdict(trial) for trial in found.trials]
    return model, {"protocol": part.protocol, "trials": trials, "chosen": {name: chosen}}


def tune(
    source: str,
    part: Validation,
    context: FitContext,
    *,
    k: int,
    exclude_seen: bool,
    until: float,
    fixed: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    patience: int = 8,
) -> Tuned | None:
    """Try the defaults, then ever other values, with Optuna's tree-structured Parzen estimator (Bergstra et al., 2011).

    Args:
        source: name of the model.
        part: what to learn from and what to be measured by.
        context: of the fits; trials that its log knows are not fitted again.
        k: cut-off of the NDCG.
        exclude_seen: whether a user's own items are left out.
        until: ``time.monotonic()`` at which to stop; no fit is begun that would take longer than what is left.
        fixed: hyperparameters that are not searched for.
        base: hyperparameters that a trial has unless it tries others.
        patience: trials in a row without a better one, after which to stop.

    Returns:
        None when the defaults could not be fitted.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    fixed = fixed or {}
    space = {
        name: list(values)
        for name, values in load_class(source).space(part.train).items()
        if len(values) > 1 and name not in fixed
    }
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=context.seed))
    log = TrialLog(context.trials)
    trials: list[Trial] = []
    best: tuple[Trial, Model | None, float] | None = None
    done: set[str] = set()
    misses = 0
    while misses < patience:
        longest = max((trial.fit_s + trial.score_s for trial in trials), default=0.0)
        if trials and not space:
            break
        asked = study.ask() if trials else None  # the first trial has the defaults, which may depend on the data
        chosen = {name: asked.suggest_categorical(name, values) for name, values in space.items()} if asked else {}
        trial, model = Trial(source, {**(base or {}), **chosen, **fixed}), None
        if asked and trial.key in done:
            study.tell(asked, state=optuna.trial.TrialState.PRUNED)
            misses += 1
            continue
        done.add(trial.key)
        allowed_s = until - time.monotonic()
        known = log.find(trial)
        if known is not None:
            trial = known
        elif trials and time.monotonic() + longest > until:
            break
        else:
            trial, model = _try(trial, part, replace(context, deadline=until), k, exclude_seen=exclude_seen)
            log.add(trial)
        trials.append(trial)
        context.progress(
            f"{source}{_shown(chosen)}: {trial.error or f'NDCG@{k} {trial.ndcg:.4f}, {trial.fit_s:.0f} s'}"
            f"{' (of an earlier run)' if known is not None else ''}"
        )
        if asked:
            study.tell(asked, *((None, optuna.trial.TrialState.FAIL) if trial.error else (trial.ndcg, None)))
        elif trial.error:
            return None
        if not trial.error and (best is None or trial.ndcg > best[0].ndcg):
            best, misses = (trial, model, allowed_s), 0
        else:
            misses += 1
    if best is None:
        return None
    trial, model, allowed_s = best
    if model is None:  # an earlier run measured it
        end = _end(context, until)
        allowed_s = end - time.monotonic()
        model = create(source, **trial.hyperparameters).fit(part.train, replace(context, deadline=end))
    return Tuned(trial, model, tuple(trials), allowed_s)


def _end(context: FitContext, until: float) -> float:
    """When a fit must return whose time another run has taken already."""
    left = context.remaining_s
    return until if left == float("inf") else max(until, time.monotonic() + left / 2)


def _try(
    trial: Trial, part: Validation, context: FitContext, k: int, *, exclude_seen: bool
) -> tuple[Trial, Model | None]:
    """Fit and measure; a model that the data does not suit is a failed trial."""
    begun = time.monotonic()
    try:
        model = create(trial.source, **trial.hyperparameters).fit(part.train, context)
        fitted = time.monotonic()
        ndcg = validation_ndcg(model, part.history, part.relevant, k, exclude_seen=exclude_seen)
    except (DataError, MemoryError) as error:
        return replace(trial, fit_s=time.monotonic() - begun, error=f"left out: {error}"), None
    return replace(trial, ndcg=ndcg, fit_s=fitted - begun, score_s=time.monotonic() - fitted), model


def _shown(chosen: Mapping[str, Any]) -> str:
    return "".join(
        f" {name}={value:g}" if isinstance(value, float) else f" {name}={value}" for name, value in chosen.items()
    )
