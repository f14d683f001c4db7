"""Measure the drift between reference days and a window of days, with limits from the reference itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.evaluation.drift.calibration import CheckKey, DriftCalibration, calibrate
from tastemaker.evaluation.drift.coding import CodedColumn, code_column, is_number
from tastemaker.evaluation.drift.figures import ColumnFigures, Rows, column_figures
from tastemaker.evaluation.drift.judge import absent_column, judge_column
from tastemaker.evaluation.drift.limits import DriftLimits
from tastemaker.evaluation.drift.summary import ColumnDrift
from tastemaker.evaluation.drift.windows import draw_windows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DAY", "MeasuredDrift", "measure_drift"]

DAY = "day"
_MOST_SEGMENTS = 6


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
    limits = limits or DriftLimits()
    _require(reference, current, limits)
    days, places = np.unique(reference[DAY].to_numpy(), return_inverse=True)
    n_current = int(current[DAY].nunique())
    windows = draw_windows(len(days), n_current, resamples=limits.resamples, block_days=limits.block_days, seed=seed)
    exchanged = draw_windows(
        len(days) + n_current, n_current, resamples=limits.resamples, block_days=limits.block_days, seed=seed + 1
    )
    rng = np.random.default_rng(seed)
    chosen = list(_segments(reference, current, segments, limits=limits, places=places, n_current=n_current, rng=rng))
    decided: list[ColumnDrift] = []
    found: dict[tuple[str, str], tuple[CodedColumn, ColumnFigures]] = {}
    null: dict[CheckKey, npt.NDArray[np.float64]] = {}
    mixed: dict[CheckKey, npt.NDArray[np.float64]] = {}
    for name in dict.fromkeys([*reference.columns, *current.columns]):
        if name == DAY:
            continue
        lacks = absent_column(str(name), reference, current)
        if lacks is not None:
            decided.append(lacks)
            continue
        coded = code_column(reference[name], current[name], limits)
        for segment, rows in chosen:
            if segment.startswith(f"{name}="):
                continue  # it has a single value there
            figures = column_figures(coded, rows, windows, exchanged)
            found[segment, str(name)] = (coded, figures)
            null |= {(segment, str(name), check): values for check, values in figures.null.items()}
            mixed |= {(segment, str(name), check): values for check, values in figures.exchanged.items()}
    factor, reached, checks = calibrate(null, limits)
    by_exchange = {(one.segment, one.column, one.check): one.calibrated for one in calibrate(mixed, limits)[2]}
    checks = tuple(
        msgspec.structs.replace(one, exchanged=by_exchange[one.segment, one.column, one.check]) for one in checks
    )
    calibration = DriftCalibration(
        false_alarm_rate=limits.false_alarm_rate,
        reached=reached,
        resamples=limits.resamples,
        seed=seed,
        reference_days=len(days),
        window_days=windows.days,
        block_days=windows.block_days,
        factor=factor,
        checks=checks,
    )
    bounds = {(one.segment, one.column, one.check): one.limit for one in checks}
    for (segment, name), (coded, figures) in found.items():
        decided += judge_column(name, segment, coded, figures, bounds)
    return MeasuredDrift(tuple(decided), calibration, len(days), n_current)


def _require(reference: "pd.DataFrame", current: "pd.DataFrame", limits: DriftLimits) -> None:
    for frame, which in ((reference, "reference"), (current, "current")):
        if len(frame) < limits.min_rows:
            raise DataError(f"the {which} frame has {len(frame)} rows; at least {limits.min_rows} are needed")
        if DAY not in frame.columns:
            raise DataError(f"the {which} frame has no column {DAY!r}; say of which day each row is")
    days = int(reference[DAY].nunique())
    if days < max(limits.min_days, 2 * limits.block_days):
        raise DataError(f"the reference has rows of {days} days; at least {limits.min_days} are needed to calibrate")


def _segments(
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
    columns: Sequence[str],
    *,
    limits: DriftLimits,
    places: npt.NDArray[np.int64],
    n_current: int,
    rng: np.random.Generator,
) -> Iterator[tuple[str, Rows]]:
    """All rows first, and then each frequent value of the segment columns."""
    n_days = int(places.max()) + 1
    current_places = np.unique(current[DAY].to_numpy(), return_inverse=True)[1]

    def rows(ours: npt.NDArray[np.bool_], theirs: npt.NDArray[np.bool_]) -> Rows:
        per_day = ours.sum() / n_days, theirs.sum() / n_current
        thin = per_day[1] / max(per_day[0], 1e-9)
        window = ours if thin >= 1 else ours & (rng.random(len(ours)) < thin)
        return Rows(places, ours, window, theirs, current_places, n_days)

    yield "", rows(np.ones(len(reference), dtype=np.bool_), np.ones(len(current), dtype=np.bool_))
    for column in columns:
        if column not in reference.columns or column not in current.columns or is_number(reference[column]):
            continue
        both: pd.Series[Any] = reference[column].value_counts()
        now = current[column].value_counts()
        for value in both.index[:_MOST_SEGMENTS]:
            if min(int(both[value]), int(now.get(value, 0))) >= limits.min_rows:
                masks = (
                    (frame[column] == value).to_numpy(dtype=np.bool_, na_value=False) for frame in (reference, current)
                )
                yield f"{column}={value}", rows(*masks)
