"""The figures of one column in one segment: of the window that is judged, and of many windows of reference days."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.evaluation.drift.coding import CodedColumn
from tastemaker.evaluation.drift.distances import jensen_shannon, new_share, shares, wasserstein
from tastemaker.evaluation.drift.windows import Windows

__all__ = ["ColumnFigures", "Rows", "column_figures"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Rows:
    """Which rows of the two frames are looked at.

    Attributes:
        days: ``[reference rows]``, the place of each one's day.
        reference: ``bool[reference rows]``.
        window: ``bool[reference rows]``, those that a resampled window has; fewer where the judged window
            has fewer rows a day, so that both are as uncertain.
        current: ``bool[current rows]``.
        current_days: ``[current rows]``, the place of each one's day among those of the window.
        n_days: of the reference.
    """

    days: npt.NDArray[np.int64]
    reference: npt.NDArray[np.bool_]
    window: npt.NDArray[np.bool_]
    current: npt.NDArray[np.bool_]
    current_days: npt.NDArray[np.int64]
    n_days: int


@dataclass(frozen=True, eq=False)
class ColumnFigures:
    """What was found.

    Attributes:
        observed: figure of the judged window by check.
        null: figures ``[resamples]`` of windows of reference days by check.
        exchanged: the same of windows of reference days and judged days together.
        n_values: rows with a value, of the reference and the window.
        missing: share of rows without one, likewise.
        kinds: distinct values, likewise.
        always: the place of the window's value, where it has a single one.
        null_constant: resampled windows with a single value.
        null_empty: resampled windows without any.
    """

    observed: dict[str, float]
    null: dict[str, Floats]
    exchanged: dict[str, Floats]
    n_values: tuple[int, int]
    missing: tuple[float, float]
    kinds: tuple[int, int]
    always: tuple[int, int]
    null_constant: int
    null_empty: int


def column_figures(column: CodedColumn, rows: Rows, windows: Windows, exchanged: Windows) -> ColumnFigures:
    """Count once a day, and sum days to windows: a matrix product instead of a distance per window.

    Args:
        column: its codes.
        rows: which count.
        windows: of reference days.
        exchanged: of reference days and, after them, those of the judged window.
    """
    width = len(column.values) + 1  # place 0: missing
    by_day = _daily(column.reference, rows.days, rows.reference, rows.n_days, width)
    drawn = (
        by_day
        if rows.window is rows.reference
        else _daily(column.reference, rows.days, rows.window, rows.n_days, width)
    )
    judged = _daily(column.current, rows.current_days, rows.current, int(rows.current_days.max()) + 1, width)
    current = judged.sum(axis=0, dtype=np.float64)
    whole = by_day.sum(axis=0, dtype=np.float64)
    inside = (windows.inside @ drawn).astype(np.float64)
    outside = whole - windows.inside @ by_day
    observed, null = _figures(column, current, whole), _figures(column, inside, outside)
    kinds = [int((counts[1:] > 0).sum()) for counts in (whole, current)]
    return ColumnFigures(
        observed={check: float(figure) for check, figure in observed.items()},
        null=null,
        exchanged=_figures(column, *_split(exchanged, np.concatenate([drawn, judged]))),
        n_values=(int(whole[1:].sum()), int(current[1:].sum())),
        missing=(float(shares(whole)[0]), float(shares(current)[0])),
        kinds=(kinds[0], kinds[1]),
        always=(int(whole[1:].argmax()), int(current[1:].argmax())),
        null_constant=int(((inside[:, 1:] > 0).sum(axis=1) == 1).sum()),
        null_empty=int((inside[:, 1:].sum(axis=1) == 0).sum()),
    )


def _daily(
    codes: npt.NDArray[np.int64],
    days: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.bool_],
    n_days: int,
    width: int,
) -> npt.NDArray[np.float32]:
    cells = days[chosen] * width + codes[chosen] + 1
    return np.bincount(cells, minlength=n_days * width).reshape(n_days, width).astype(np.float32)


def _split(windows: Windows, by_day: npt.NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Counts of each window, and of the days that are not in it."""
    inside = (windows.inside @ by_day).astype(np.float64)
    return inside, by_day.sum(axis=0, dtype=np.float64) - inside


def _figures(column: CodedColumn, current: Counts, reference: Counts) -> dict[str, Floats]:
    """All figures of windows ``[..., places]`` against what they are compared with."""
    missing = np.abs(shares(current)[..., 0] - shares(reference)[..., 0])
    ours, theirs = current[..., 1:], reference[..., 1:]
    if column.folded is None:
        scale = column.scale if column.scale > 0 else 1.0
        distance = wasserstein(shares(ours), shares(theirs), column.values, scale)
        return {column.check: distance, "missing_share": missing}
    groups = np.arange(int(column.folded[-1]) + 1)
    fold = (column.folded[:, None] == groups).astype(np.float64)
    distance = jensen_shannon(shares(ours @ fold), shares(theirs @ fold))
    found = {column.check: distance, "missing_share": missing, "new_categories": new_share(ours, theirs)}
    # A window without any value has no distribution; its missing share says so.
    return {name: np.nan_to_num(figure) for name, figure in found.items()}
