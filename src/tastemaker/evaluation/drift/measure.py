"""Measure the drift between reference days and a window of days, with limits from the reference itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from tastemaker.evaluation.drift.beside import beside_others
from tastemaker.evaluation.drift.calibration import DriftCalibration, calibrate
from tastemaker.evaluation.drift.collect import DAY, DriftFigures, collect_figures
from tastemaker.evaluation.drift.figures import ColumnFigures
from tastemaker.evaluation.drift.judge import judge_column
from tastemaker.evaluation.drift.limits import DriftLimits
from tastemaker.evaluation.drift.summary import ColumnDrift

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DAY", "MeasuredDrift", "judge_figures", "measure_drift"]


@dataclass(frozen=True)
class MeasuredDrift:
    """Drift of one frame.

    Attributes:
        columns: a result per column, check and segment.
        calibration: how the limits came about.
        reference_days: with rows.
        current_days: with rows.
    """

    columns: tuple[ColumnDrift, ...]
    calibration: DriftCalibration
    reference_days: int
    current_days: int


def measure_drift(
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
    *,
    limits: DriftLimits | None = None,
    segments: Sequence[str] = (),
    seed: int = 0,
) -> MeasuredDrift:
    """Compare a window of days with reference days, all rows of both.

    Args:
        reference: rows with a ``day`` column (anything that sorts by time); numbers and categories.
        current: the same columns, of the days that are judged.
        limits: see there.
        segments: columns whose frequent values are also looked at one by one, with limits of their own.
        seed: of the resampling.

    Raises:
        DataError: too few rows or days, or no ``day`` column.
    """
    return judge_figures(collect_figures(reference, current, limits=limits, segments=segments, seed=seed))


def judge_figures(figures: DriftFigures) -> MeasuredDrift:
    """Calibrate limits on the resampled windows and compare the judged window with them."""
    limits, keyed = figures.limits, _with_others(figures).items()
    null = {(*key, check): values for key, column in keyed for check, values in column.null.items()}
    mixed = {(*key, check): values for key, column in keyed for check, values in column.exchanged.items()}
    factor, reached, checks = calibrate(null, limits)
    by_exchange = {(one.segment, one.column, one.check): one.calibrated for one in calibrate(mixed, limits)[2]}
    checks = tuple(
        msgspec.structs.replace(one, exchanged=by_exchange[one.segment, one.column, one.check]) for one in checks
    )
    calibration = DriftCalibration(
        false_alarm_rate=limits.false_alarm_rate,
        reached=reached,
        resamples=limits.resamples,
        seed=figures.seed,
        reference_days=figures.reference_days,
        window_days=figures.windows.days,
        block_days=figures.windows.block_days,
        factor=factor,
        checks=checks,
    )
    bounds = {(one.segment, one.column, one.check): one.limit for one in checks}
    decided = list(figures.lacking.values())
    for (segment, name), column in keyed:
        decided += judge_column(name, segment, column, bounds)
    return MeasuredDrift(tuple(decided), calibration, figures.reference_days, figures.current_days)


def _with_others(figures: DriftFigures) -> dict[tuple[str, str], ColumnFigures]:
    """Every column's figures, with those beside the other columns."""
    parts = {name: one.parts for (segment, name), one in figures.columns.items() if one.parts is not None}
    beside = beside_others(parts, figures.windows, figures.exchanged)
    found = dict(figures.columns)
    for name, checks in beside.items():
        one = found["", name]
        found["", name] = replace(
            one,
            observed=one.observed | {check: three[0] for check, three in checks.items()},
            null=one.null | {check: three[1] for check, three in checks.items()},
            exchanged=one.exchanged | {check: three[2] for check, three in checks.items()},
        )
    return found
