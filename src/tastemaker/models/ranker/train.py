"""Fit the ranker on lists, until it stops getting better on others, or time is up."""

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.keras import seed_everything
from tastemaker.models.ranker.calibration import Calibration, expected_calibration_error, fit_calibration
from tastemaker.models.ranker.fitting import Fitting, list_logits
from tastemaker.models.ranker.inputs import measure_scales
from tastemaker.models.ranker.lists import RankingLists
from tastemaker.models.ranker.network import RankerModel
from tastemaker.models.ranker.parameters import RankerParameters
from tastemaker.models.ranker.ranker import Ranker, RankerCard
from tastemaker.models.ranker.scoring import ScoringModule
from tastemaker.models.ranker.start import start_factor

__all__ = ["train_ranker"]

_CALIBRATION_LISTS = 500


def train_ranker(
    lists: RankingLists,
    parameters: RankerParameters,
    *,
    validation: RankingLists | None = None,
    seed: int,
    deadline: float | None = None,
    wide_start: npt.NDArray[np.float32] | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Ranker:
    """Fit the ranker; the same seed on the same machine gives the same weights.

    Args:
        lists: to learn from; those in which nothing followed are left out.
        parameters: see there.
        validation: lists to judge by after each epoch: the weights of the best epoch are kept, those of before
            training included. They also calibrate the probabilities. None: all epochs are run.
        seed: of initial weights, dropout, order and draws.
        deadline: ``time.monotonic()`` from which no further step is taken; None: no limit.
        wide_start: float32 ``[features]``: weights of the raw features to start from; see :class:`RankerModel`.
        progress: told the loss after each epoch.

    Raises:
        DataError: no list has a hit, or lists and parameters do not fit together.
    """
    begun = time.monotonic()
    rows = lists.useful
    if not len(rows):
        raise DataError(
            f"none of the {lists.n_lists} training lists holds an item that its shopper went on to take; the ranker"
            " needs shoppers who come back within the label window: train at a later cut, or widen label_days"
        )
    _check(lists, parameters, wide_start)
    if validation is not None:
        _check(validation, parameters, wide_start)
        if validation.names != lists.names:
            raise DataError("validation lists have other features than the training lists; build both the same way")
    seed_everything(seed)
    factor = 1.0 if wide_start is None else start_factor(lists, rows, wide_start)
    model = RankerModel(
        measure_scales(lists, rows), lists.names, parameters, wide_start=wide_start, start_factor=factor
    )
    fitting = Fitting(
        model,
        lists,
        rows=rows,
        parameters=parameters,
        validation=validation,
        seed=seed,
        deadline=deadline,
        progress=progress,
    )
    fitting.run()
    if validation is None or fitting.best_logits is None:
        some = _sample(lists, rows)
        calibrations, errors = _calibrate(list_logits(model, lists, some), lists.labels[some], measured=False)
    else:
        labels = validation.labels[validation.useful]
        calibrations, errors = _calibrate(fitting.best_logits, labels, measured=True)
    report = fitting.report(calibration_error=errors, seconds=time.monotonic() - begun)
    card = RankerCard(names=lists.names, parameters=parameters, calibrations=calibrations, report=report)
    return Ranker(ScoringModule(model, lists.names, parameters, calibrations), card)


def _check(lists: RankingLists, parameters: RankerParameters, wide_start: npt.NDArray[np.float32] | None) -> None:
    if lists.labels.shape[2] != len(parameters.outcomes):
        raise DataError(
            f"labels {lists.labels.shape} have {lists.labels.shape[2]} outcomes and the parameters name"
            f" {', '.join(parameters.outcomes)}; give one column of labels for each"
        )
    if wide_start is not None and wide_start.shape != (len(lists.names),):
        raise DataError(f"wide_start {wide_start.shape} must be ({len(lists.names)},), one weight per feature")
    aims = parameters.objective
    for weight, name in ((aims.margin, aims.margin_feature), (aims.novelty, aims.novelty_feature)):
        if weight:
            lists.column(name)


def _sample(lists: RankingLists, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return rows[:: max(1, len(rows) // _CALIBRATION_LISTS)]


def _calibrate(
    logits: npt.NDArray[np.float32], labels: npt.NDArray[np.float32], *, measured: bool
) -> tuple[tuple[Calibration, ...], tuple[float, ...]]:
    """Maps fitted on all of these lists, and the error of maps fitted on one half of them, on the other half."""
    maps, errors = [], []
    half = np.arange(len(labels)) % 2 == 0
    for at in range(labels.shape[2]):
        scores, truth = logits[:, :, at], labels[:, :, at]
        known = truth >= 0
        maps.append(fit_calibration(scores[known], truth[known]))
        one, other = known & half[:, None], known & ~half[:, None]
        judge = fit_calibration(scores[one], truth[one])
        errors.append(expected_calibration_error(judge(scores[other]), truth[other]))
    return tuple(maps), tuple(errors) if measured else ()
