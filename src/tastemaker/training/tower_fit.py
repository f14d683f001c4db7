"""Fit the two towers of a release, and write them where serving loads them from."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tastemaker.errors import DataError
from tastemaker.events.item import Item
from tastemaker.features.semantics import DAY_US
from tastemaker.models.protocol import FitContext
from tastemaker.models.two_tower.model import TwoTower
from tastemaker.release.tower_parameters import ReleaseTowerParameters
from tastemaker.release.tower_report import TowerReport, TowerTrial
from tastemaker.training.interactions import Interactions
from tastemaker.training.tower_histories import item_table, tower_histories

__all__ = ["TowerStart", "fit_towers", "search_values"]

Progress = Callable[[str], None]
_CUTOFF = 20  # of the NDCG that values are chosen by


@dataclass(frozen=True)
class TowerStart:
    """What a fit begins from.

    Attributes:
        earlier: folder of towers to start from; None starts anew.
        checkpoint_dir: folder from which a killed training goes on; None keeps no checkpoints.
        values: found by a search; they stand above the release's parameters.
        trials: of that search.
    """

    earlier: Path | None = None
    checkpoint_dir: Path | None = None
    values: Mapping[str, Any] | None = None
    trials: tuple[TowerTrial, ...] = ()


def fit_towers(
    interactions: Interactions,
    items: Sequence[Item],
    parameters: ReleaseTowerParameters,
    directory: Path,
    *,
    seed: int,
    about: Mapping[str, str],
    start: TowerStart,
    progress: Progress,
) -> TowerReport:
    """Fit the towers; without a deadline that ends it, the same seed on the same machine gives the same vectors.

    Args:
        interactions: what happened, with rows of ``items``.
        items: the catalogue.
        parameters: see there.
        directory: gets the model; see :func:`~tastemaker.models.two_tower.saved.load_saved`.
        seed: of initial weights, dropout and the order of examples.
        about: further facts to save with the model.
        start: what to begin from.
        progress: told the loss and the NDCG at each evaluation.

    Raises:
        DataError: no shopper has two events, so that there is nothing to learn from.
    """
    train = tower_histories(interactions, len(items))
    values = parameters.values() | dict(start.values or {})
    if start.earlier is not None:
        values["epochs"] = parameters.warm_epochs
    model = TwoTower(
        warm_start=start.earlier,
        checkpoint_dir=start.checkpoint_dir,
        vocabulary=[item.item_id for item in items],
        **values,
    )
    try:
        model.fit(train, _context(items, parameters.minutes, seed, progress))
    except DataError as error:
        raise DataError(
            f"{error}; the towers learn from shoppers who came back: import more history, or train at a later cut"
        ) from error
    model.save(directory, about)
    return TowerReport.of(model.parameters, model.curve, warm=start.earlier is not None, trials=start.trials)


def search_values(
    interactions: Interactions,
    items: Sequence[Item],
    parameters: ReleaseTowerParameters,
    *,
    seed: int,
    progress: Progress,
) -> TowerStart:
    """Search for values that measure best on the last days, within the minutes that the parameters give.

    Args:
        interactions: see :func:`fit_towers`.
        items: likewise.
        parameters: likewise.
        seed: of the search and of each fit.
        progress: told each trial.

    Returns:
        The best values and all trials, to begin from; nothing where no minutes are given, or nobody bought in the
        last days.
    """
    if not parameters.tuning_minutes:
        return TowerStart()
    from tastemaker.models.tuning import tune
    from tastemaker.models.validation import validation_part

    until = time.monotonic() + parameters.tuning_minutes * 60
    train = tower_histories(interactions, len(items))
    horizon = float(parameters.tuning_days * DAY_US)
    part = validation_part(train, seed=seed, protocol="temporal", horizon=horizon)
    context = _context(items, parameters.tuning_minutes, seed, progress)
    base = parameters.values()
    found = tune(TwoTower.name, part, context, k=_CUTOFF, exclude_seen=False, until=until, base=base)
    if found is None:
        return TowerStart()
    trials = tuple(
        TowerTrial(
            values=_tried(trial.hyperparameters, base),
            ndcg=None if trial.error else round(trial.ndcg, 5),
            seconds=round(trial.fit_s, 1),
            error=trial.error,
        )
        for trial in found.trials
    )
    return TowerStart(values=_tried(found.trial.hyperparameters, base), trials=trials)


def _tried(values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a trial that are not the given ones."""
    return {name: value for name, value in values.items() if name not in base or base[name] != value}


def _context(items: Sequence[Item], minutes: float, seed: int, progress: Progress) -> FitContext:
    deadline = time.monotonic() + minutes * 60
    return FitContext(seed=seed, items=item_table(items), deadline=deadline, progress=progress)
