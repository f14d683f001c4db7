"""Search for the hyperparameters of one source within its share of the budget."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tastemaker.errors import DataError
from tastemaker.models.protocol import FitContext, Model
from tastemaker.models.quality import validation_ndcg
from tastemaker.models.registry import create, load_class
from tastemaker.models.validation import Validation

__all__ = ["Trial", "Tuned", "tune"]


@dataclass(frozen=True)
class Trial:
    """One configuration, fitted and measured.

    Attributes:
        source: the model's name.
        hyperparameters: of the search space.
        ndcg: of its lists for the validation users; NaN when the fit failed.
        fit_s: seconds of the fit.
        score_s: seconds to rank for the validation users.
        error: why it failed; empty when it did not.
    """

    source: str
    hyperparameters: Mapping[str, Any]
    ndcg: float = float("nan")
    fit_s: float = 0.0
    score_s: float = 0.0
    error: str = ""


@dataclass(frozen=True, eq=False)
class Tuned:
    """The best configuration of a source.

    Attributes:
        trial: of the best.
        model: fitted on the training part of the validation split.
        trials: all of them, in their order.
    """

    trial: Trial
    model: Model
    trials: tuple[Trial, ...] = field(default=())


def tune(
    source: str,
    part: Validation,
    context: FitContext,
    *,
    k: int,
    exclude_seen: bool,
    until: float,
    patience: int = 8,
    base: Mapping[str, Any] | None = None,
) -> Tuned | None:
    """Try the defaults, then ever other values, with Optuna's tree-structured Parzen estimator (Bergstra et al., 2011).

    Args:
        source: name of the model.
        part: what to learn from and what to be measured by.
        context: of the fits.
        k: cut-off of the NDCG.
        exclude_seen: whether a user's own items are left out.
        until: ``time.monotonic()`` at which to stop; no fit is begun that would take longer than what is left.
        patience: trials in a row without a better one, after which to stop.
        base: values that every trial has, unless it tries another one.

    Returns:
        None when the defaults could not be fitted.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {name: list(values) for name, values in load_class(source).space(part.train).items() if len(values) > 1}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=context.seed))
    trials: list[Trial] = []
    best: tuple[Trial, Model] | None = None
    done: set[str] = set()
    misses = 0
    while misses < patience:
        longest = max((trial.fit_s + trial.score_s for trial in trials), default=0.0)
        if trials and (not space or time.monotonic() + longest > until):
            break
        asked = study.ask() if trials else None  # the first trial has the defaults, which may depend on the data
        chosen = {name: asked.suggest_categorical(name, values) for name, values in space.items()} if asked else {}
        key = json.dumps(chosen, sort_keys=True, default=str)
        if asked and key in done:
            study.tell(asked, state=optuna.trial.TrialState.PRUNED)
            misses += 1
            continue
        done.add(key)
        trial, model = _try(
            Trial(source, chosen), part, replace(context, deadline=until), k, exclude_seen=exclude_seen, base=base or {}
        )
        trials.append(trial)
        context.progress(
            f"{source}{_shown(chosen)}: {trial.error or f'NDCG@{k} {trial.ndcg:.4f}, {trial.fit_s:.0f} s'}"
        )
        if asked:
            failed = optuna.trial.TrialState.FAIL if model is None else None
            study.tell(asked, None if model is None else trial.ndcg, failed)
        elif model is None:
            return None
        if model is not None and (best is None or trial.ndcg > best[0].ndcg):
            best, misses = (trial, model), 0
        else:
            misses += 1
    return Tuned(best[0], best[1], tuple(trials)) if best else None


def _try(
    trial: Trial, part: Validation, context: FitContext, k: int, *, exclude_seen: bool, base: Mapping[str, Any]
) -> tuple[Trial, Model | None]:
    """Fit and measure; a model that the data does not suit is a failed trial."""
    begun = time.monotonic()
    try:
        model = create(trial.source, **(dict(base) | dict(trial.hyperparameters))).fit(part.train, context)
        fitted = time.monotonic()
        ndcg = validation_ndcg(model, part.history, part.relevant, k, exclude_seen=exclude_seen)
    except (DataError, MemoryError) as error:
        return replace(trial, fit_s=time.monotonic() - begun, error=f"left out: {error}"), None
    return replace(trial, ndcg=ndcg, fit_s=fitted - begun, score_s=time.monotonic() - fitted), model


def _shown(chosen: Mapping[str, Any]) -> str:
    return "".join(
        f" {name}={value:g}" if isinstance(value, float) else f" {name}={value}" for name, value in chosen.items()
    )
