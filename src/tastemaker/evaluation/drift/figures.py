"""The figures of one column in one segment: of the window that is judged, and of many windows of reference days."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.evaluation.drift.beside import Parts, column_parts
from tastemaker.evaluation.drift.coding import CodedColumn, Coding
from tastemaker.evaluation.drift.distances import jensen_shannon, shares
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
        coding: of the column.
        observed: figure of the judged window by check.
        null: figures ``[resamples]`` of windows of reference days by check.
        exchanged: the same of windows of reference days and judged days together.
        n_values: rows with a value, of the reference and the window.
        missing: share of rows without one, likewise.
        kinds: distinct values, likewise.
        always: the place of the window's value, where it has a single one.
        null_constant: resampled windows with a single value.
        null_empty: resampled windows without any.
        parts: what the other columns are foretold by, and it by them; None where that is not looked at.
    """

    coding: Coding
    observed: dict[str, float]
    null: dict[str, Floats]
    exchanged: dict[str, Floats]
    n_values: tuple[int, int]
    missing: tuple[float, float]
    kinds: tuple[int, int]
    always: tuple[int, int]
    null_constant: int
    null_empty: int
    parts: Parts | None = None


def column_figures(
    column: CodedColumn,
    rows: Rows,
    windows: Windows,
    exchanged: Windows,
    sample: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None,
) -> ColumnFigures:
    """Count once a day, and sum days to windows: a matrix product instead of a distance per window.

    Args:
        column: its codes.
        rows: which count.
        windows: of reference days.
        exchanged: of reference days and, after them, those of the judged window.
        sample: places of rows of both frames, to compare the column with the others; None: it is not.
    """
    coding = column.coding
    width = len(coding.values) + 1  # place 0: missing
    by_day = _daily(column.reference, rows.days, rows.reference, rows.n_days, width)
    drawn = (
        by_day
        if rows.window is rows.reference
        else _daily(column.reference, rows.days, rows.window, rows.n_days, width)
    )
    judged = _daily(column.current, rows.current_days, rows.current, int(rows.current_days.max()) + 1, width)
    whole, current = by_day.sum(axis=0, dtype=np.float64), judged.sum(axis=0, dtype=np.float64)
    kinds = [int((counts[1:] > 0).sum()) for counts in (whole, current)]
    mixed = np.concatenate([drawn, judged])
    # What is judged is one more window: all days of the second frame, compared with all of the first.
    at_hand = np.concatenate([by_day, judged]).astype(np.float64)
    this = Windows((np.arange(len(at_hand)) >= len(by_day))[None].astype(np.float32), len(judged), 1)
    observed = window_figures(coding, this, at_hand, at_hand)
    return ColumnFigures(
        coding=coding,
        observed={check: float(figure[0]) for check, figure in observed.items()},
        null=window_figures(coding, windows, drawn, by_day),
        exchanged=window_figures(coding, exchanged, mixed, mixed),
        n_values=(int(whole[1:].sum()), int(current[1:].sum())),
        missing=(float(shares(whole)[0]), float(shares(current)[0])),
        kinds=(kinds[0], kinds[1]),
        always=(int(whole[1:].argmax()), int(current[1:].argmax())),
        null_constant=int(((windows.inside @ (drawn[:, 1:] > 0) > 0).sum(axis=1) == 1).sum()) if kinds[1] == 1 else 0,
        null_empty=int((windows.inside @ drawn[:, 1:].sum(axis=1) == 0).sum()),
        parts=None if sample is None else column_parts(column, (drawn, by_day, judged), sample),
    )


def _daily(
    codes: npt.NDArray[np.int32],
    days: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.bool_],
    n_days: int,
    width: int,
) -> Counts:
    if not chosen.all():
        codes, days = codes[chosen], days[chosen]
    return np.bincount(days * width + (codes + 1), minlength=n_days * width).reshape(n_days, width).astype(np.float32)


def window_figures(coding: Coding, windows: Windows, drawn: Counts, days: Counts) -> dict[str, Floats]:
    """Figures ``[resamples]`` of windows of days against the days that are not in them, by check.

    Args:
        coding: of the column.
        windows: which days are in.
        drawn: counts ``[days, 1 + values]``, missing values first, as a window has them.
        days: the same as those outside have them; the same array where windows are not thinned.
    """
    checks = _numbers if coding.keep is None else _categories
    absent = [
        side[:, 0] / np.maximum(side[:, 1], 1)
        for side in _split(windows, *(np.stack([c[:, 0], c.sum(axis=1)], axis=1) for c in (drawn, days)))
    ]
    return {"missing_share": np.abs(absent[0] - absent[1]), **checks(coding, windows, drawn[:, 1:], days[:, 1:])}


def _split(windows: Windows, drawn: Counts, days: Counts) -> tuple[Counts, Counts]:
    """Counts of each window, and of the days that are not in it."""
    inside = windows.inside.astype(days.dtype, copy=False)
    return inside @ drawn, days.sum(axis=0) - inside @ days


def _numbers(coding: Coding, windows: Windows, drawn: Counts, days: Counts) -> dict[str, Floats]:
    # Cumulated per day, so that no array of windows has to be.
    inside, outside = _split(windows, np.cumsum(drawn, axis=1), np.cumsum(days, axis=1))
    inside /= np.maximum(inside[:, -1:], 1)
    outside /= np.maximum(outside[:, -1:], 1)
    inside -= outside
    apart = np.abs(inside, out=inside)
    widths = np.diff(coding.values) / (coding.scale if coding.scale > 0 else 1.0)
    return {coding.check: apart[:, :-1] @ widths.astype(apart.dtype)}


def _categories(coding: Coding, windows: Windows, drawn: Counts, days: Counts) -> dict[str, Floats]:
    folded = [np.hstack([c[:, : coding.keep], c[:, coding.keep :].sum(axis=1, keepdims=True)]) for c in (drawn, days)]
    distance = jensen_shannon(*(shares(side) for side in _split(windows, *folded)))
    # Only what is seen on no more days than a window has can be new in one: nearly no category of a long tail is not.
    rare = (days > 0).sum(axis=0) <= windows.days
    inside, outside = _split(windows, drawn[:, rare], days[:, rare])
    rows = np.maximum(_split(windows, *(c.sum(axis=1, keepdims=True) for c in (drawn, days)))[0][:, 0], 1)
    return {coding.check: distance, "new_categories": (inside * (outside <= 0)).sum(axis=1) / rows}
