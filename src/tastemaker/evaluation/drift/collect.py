"""What a comparison of two frames of days finds before anything is decided: figures of every column and segment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tastemaker.errors import DataError
from tastemaker.evaluation.drift.beside import SAMPLE_ROWS
from tastemaker.evaluation.drift.coding import code_column, is_number
from tastemaker.evaluation.drift.figures import ColumnFigures, Rows, column_figures
from tastemaker.evaluation.drift.judge import absent_column
from tastemaker.evaluation.drift.limits import DriftLimits
from tastemaker.evaluation.drift.summary import ColumnDrift
from tastemaker.evaluation.drift.windows import Windows, draw_windows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DAY", "DriftFigures", "collect_figures"]

DAY = "day"
_MOST_SEGMENTS = 6


@dataclass(frozen=True, eq=False)
class DriftFigures:
    """Figures of a frame, from which :func:`~tastemaker.evaluation.drift.measure.judge_figures` makes limits.

    Attributes:
        columns: by segment and column.
        lacking: of columns that cannot be compared, by name.
        limits: with which they were taken.
        seed: of the resampling.
        reference_days: with rows.
        current_days: with rows.
        windows: of reference days.
        exchanged: of reference days and judged days.
        sampled: rows of both frames from which it is seen how columns go together.
    """

    columns: Mapping[tuple[str, str], ColumnFigures]
    lacking: Mapping[str, ColumnDrift]
    limits: DriftLimits
    seed: int
    reference_days: int
    current_days: int
    windows: Windows
    exchanged: Windows
    sampled: int

    def with_columns(self, other: "DriftFigures") -> "DriftFigures":
        """These, with the columns of another measurement of the same days in place of those of the same name.

        What would be measured on a frame of which only those columns differ, without measuring the others again.

        Raises:
            ValueError: the two have other days, limits or seeds.
        """
        alike = ("limits", "seed", "reference_days", "current_days", "sampled")
        if any(getattr(self, name) != getattr(other, name) for name in alike):
            raise ValueError("figures of other days, limits or seeds; measure both alike")
        measured = {name for _, name in other.columns} | set(other.lacking)
        return replace(
            self,
            # In the order of these: sums of other orders differ in the last digit.
            columns={
                key: other.columns.get(key, one)
                for key, one in self.columns.items()
                if key in other.columns or key[1] not in measured
            }
            | dict(other.columns),
            lacking={name: one for name, one in self.lacking.items() if name not in measured} | dict(other.lacking),
        )


def collect_figures(
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
    *,
    limits: DriftLimits | None = None,
    segments: Sequence[str] = (),
    seed: int = 0,
) -> DriftFigures:
    """Figures of the window that is judged, and of windows of days that are resampled.

    Arguments and errors are those of :func:`~tastemaker.evaluation.drift.measure.measure_drift`.
    """
    import pandas as pd

    limits = limits or DriftLimits()
    _require(reference, current, limits)
    places = [pd.factorize(frame[DAY], sort=True)[0].astype(np.int64) for frame in (reference, current)]
    n_reference, n_current = (int(days.max()) + 1 for days in places)
    windows, exchanged = (
        draw_windows(days, n_current, resamples=limits.resamples, block_days=limits.block_days, seed=seed + at)
        for at, days in enumerate((n_reference, n_reference + n_current))
    )
    rng = np.random.default_rng(seed)
    chosen = list(_segments(reference, current, segments, limits=limits, places=places, rng=rng))
    sample = _sample(reference, current, seed)
    lacking: dict[str, ColumnDrift] = {}
    columns: dict[tuple[str, str], ColumnFigures] = {}
    for name in dict.fromkeys([*reference.columns, *current.columns]):
        if name == DAY:
            continue
        lacks = absent_column(str(name), reference, current)
        if lacks is not None:
            lacking[str(name)] = lacks
            continue
        coded = code_column(reference[name], current[name], limits)
        for segment, rows in chosen:
            if not segment.startswith(f"{name}="):  # it has a single value there
                part = None if segment else sample
                columns[segment, str(name)] = column_figures(coded, rows, windows, exchanged, part)
    sampled = len(sample[0]) + len(sample[1])
    return DriftFigures(columns, lacking, limits, seed, n_reference, n_current, windows, exchanged, sampled)


def _sample(
    reference: "pd.DataFrame", current: "pd.DataFrame", seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Places of rows of both frames, each row being as likely as any other."""
    rows = len(reference) + len(current)
    chosen = np.random.default_rng(seed).permutation(rows)[:SAMPLE_ROWS] if rows > SAMPLE_ROWS else np.arange(rows)
    return chosen[chosen < len(reference)], chosen[chosen >= len(reference)] - len(reference)


def _require(reference: "pd.DataFrame", current: "pd.DataFrame", limits: DriftLimits) -> None:
    for frame, which in ((reference, "reference"), (current, "current")):
        if len(frame) < limits.min_rows:
            raise DataError(f"the {which} frame has {len(frame)} rows; at least {limits.min_rows} are needed")
        if DAY not in frame.columns:
            raise DataError(f"the {which} frame has no column {DAY!r}; say of which day each row is")
        if lost := int(frame[DAY].isna().sum()):
            raise DataError(
                f"{lost} rows of the {which} frame have no day; leave them out or say of which day they are"
            )
    days = int(reference[DAY].nunique())
    if days < max(limits.min_days, 2 * limits.block_days):
        raise DataError(f"the reference has rows of {days} days; at least {limits.min_days} are needed to calibrate")


def _segments(
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
    columns: Sequence[str],
    *,
    limits: DriftLimits,
    places: Sequence[npt.NDArray[np.int64]],
    rng: np.random.Generator,
) -> Iterator[tuple[str, Rows]]:
    """All rows first, and then each frequent value of the segment columns."""
    n_days = [int(days.max()) + 1 for days in places]

    def rows(ours: npt.NDArray[np.bool_], theirs: npt.NDArray[np.bool_]) -> Rows:
        per_day = ours.sum() / n_days[0], theirs.sum() / n_days[1]
        thin = per_day[1] / max(per_day[0], 1e-9)
        window = ours if thin >= 1 else ours & (rng.random(len(ours)) < thin)
        return Rows(places[0], ours, window, theirs, places[1], n_days[0])

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
