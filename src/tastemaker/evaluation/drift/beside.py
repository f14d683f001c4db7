"""How a column stands beside the others: what it does that they do not explain.

Where the days of a shop differ much, a shift that is small beside a day's ups and downs cannot be seen in the column
alone. What happens on a day moves many columns together, though, and a broken one moves by itself: the difference to
what the other columns foretell varies far less from day to day (as in the variance reduction of Deng, Xu, Kohavi and
Walker, *Improving the Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data*, 2013).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tastemaker.evaluation.drift.coding import CodedColumn
from tastemaker.evaluation.drift.windows import Windows

__all__ = ["BESIDE", "MISSING_BESIDE", "RANKS_BESIDE", "SAMPLE_ROWS", "Parts", "beside_others", "column_parts"]

BESIDE, RANKS_BESIDE, MISSING_BESIDE = "beside_others", "ranks_beside_others", "missing_beside_others"
SAMPLE_ROWS = 50_000  # from which the coefficients come; the figures are of all rows
_CATEGORIES = 12  # the most frequent ones foretell
_RIDGE = 1e-4  # of a unit variance; columns that are always missing together are collinear
_ROWS_PER_PART = 20
_LEAST = 1e-3  # share of rows, and standard deviation

Floats = npt.NDArray[np.float64]
Figures = dict[str, tuple[float, Floats, Floats]]


@dataclass(frozen=True, eq=False)
class Parts:
    """What a column contributes: its numbers and their ranks, or its categories, and whether it is missing.

    Attributes:
        rows: ``[sampled rows, parts]`` of both frames.
        drawn: ``[reference days, parts]``, sums of the rows that a resampled window has.
        days: likewise of all rows.
        judged: ``[window days, parts]``.
        counts: rows by day of ``drawn``, ``days`` and ``judged``.
        checks: what is looked at: its place among the parts, and by how much it is multiplied.
    """

    rows: npt.NDArray[np.float32]
    drawn: Floats
    days: Floats
    judged: Floats
    counts: tuple[Floats, Floats, Floats]
    checks: Mapping[str, tuple[int, float]]


def column_parts(
    column: CodedColumn,
    counts: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating], npt.NDArray[np.floating]],
    sample: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> Parts:
    """Parts of one column.

    Args:
        column: its codes.
        counts: ``[days, 1 + values]``, missing values first: drawn, of all reference rows, and of the judged ones.
        sample: places of the sampled rows of both frames.
    """
    by_day = [part.astype(np.float64) for part in counts]
    whole, width = by_day[1].sum(axis=0), len(column.coding.values) + 1
    total = whole + by_day[2].sum(axis=0)
    lost = total[0] / max(total.sum(), 1)
    tables: list[Floats] = []
    checks: dict[str, tuple[int, float]] = {}
    if column.coding.keep is not None:
        tables = [np.eye(min(_CATEGORIES, width - 2), width, k=1)]
    elif column.coding.scale > 0 and lost < 1 - _LEAST:
        # Missing ones are put at the reference's mean, which makes a shift of the others smaller by their share.
        mean = (whole[1:] @ column.coding.values) / max(whole[1:].sum(), 1)
        scores = (column.coding.values - mean) / column.coding.scale, _ranks(whole[1:])
        tables = [np.append(0.0, score)[None] for score in scores]
        # Where a few large values make the standard deviation, most rows change their rank before they change the mean.
        checks = {BESIDE: (0, 1 / (1 - lost)), RANKS_BESIDE: (1, 1 / (1 - lost))}
    if _LEAST < lost < 1 - _LEAST:
        checks[MISSING_BESIDE] = (sum(len(table) for table in tables), 1.0)
        tables.append(np.eye(1, width))
    table = np.concatenate([np.zeros((0, width)), *tables]).T
    codes = np.concatenate([side[rows] for side, rows in zip((column.reference, column.current), sample, strict=True)])
    sums = [part @ table for part in by_day]
    rows_of_day = tuple(part.sum(axis=1) for part in by_day)
    return Parts(
        table[codes + 1].astype(np.float32),
        sums[0],
        sums[1],
        sums[2],
        (rows_of_day[0], rows_of_day[1], rows_of_day[2]),
        checks,
    )


def beside_others(columns: Mapping[str, Parts], windows: Windows, exchanged: Windows) -> dict[str, Figures]:
    """By column and check: the judged window's figure, and those of windows of reference days and of all days.

    A figure is by how much the mean difference to what the other columns foretell is another one in the window than on
    the other days: in standard deviations of the reference, or as a share of the rows for missing values. The
    coefficients are of rows of both frames, so that neither is closer to its forecast by having made it.
    """
    if not columns:
        return {}
    rows = np.concatenate([one.rows for one in columns.values()], axis=1)
    if len(rows) < _ROWS_PER_PART * rows.shape[1]:
        return {}
    rows = rows - rows.mean(axis=0)
    spread = (rows.T @ rows).astype(np.float64) / len(rows)
    scale = np.sqrt(np.diag(spread))
    scale = np.where(scale > _LEAST, scale, np.inf)  # what hardly varies foretells nothing
    precision = np.linalg.inv(spread / np.outer(scale, scale) + _RIDGE * np.eye(len(scale)) + np.diag(np.isinf(scale)))
    wanted, weights = [], [np.zeros((len(scale), 0))]
    start = 0
    for name, one in columns.items():
        group = np.arange(start, start + one.rows.shape[1])
        start += one.rows.shape[1]
        chosen = [(check, at, by) for check, (at, by) in one.checks.items() if np.isfinite(scale[group[at]])]
        if not chosen:
            continue
        wanted += [(name, check) for check, _, _ in chosen]
        # The differences of a column's parts to their forecasts by all others, as the inverse covariance has them.
        apart = precision[:, group] @ np.linalg.inv(precision[np.ix_(group, group)])
        weights.append(apart[:, [at for _, at, _ in chosen]] * [scale[group[at]] * by for _, at, by in chosen])
    if not wanted:
        return {}
    weighted = np.concatenate(weights, axis=1) / scale[:, None]
    drawn, days, judged = (
        np.concatenate([getattr(one, which) for one in columns.values()], axis=1) @ weighted
        for which in ("drawn", "days", "judged")
    )
    counts = next(iter(columns.values())).counts
    this = np.concatenate([np.zeros(len(days)), np.ones(len(judged))])[None]
    observed = _apart(this, _joined(days, judged), _joined(days, judged), counts[1:], counts[1:])[0]
    null = _apart(windows.inside, drawn, days, counts[:1], counts[1:2])
    mixed_counts = (counts[0], counts[2])
    mixed = _apart(exchanged.inside, _joined(drawn, judged), _joined(drawn, judged), mixed_counts, mixed_counts)
    found: dict[str, Figures] = {}
    for place, (name, check) in enumerate(wanted):
        found.setdefault(name, {})[check] = (float(observed[place]), null[:, place], mixed[:, place])
    return found


def _ranks(counts: Floats) -> Floats:
    """Share of the rows below each value, half of its own included, as a score of mean 0 and standard deviation 1."""
    shares = counts / max(counts.sum(), 1)
    ranks = np.cumsum(shares) - shares / 2 - 0.5
    spread = float(np.sqrt(shares @ ranks**2))
    return np.asarray(ranks / spread if spread > 0 else ranks)


def _joined(*parts: Floats) -> Floats:
    return np.concatenate(parts)


def _apart(
    inside: npt.NDArray[np.floating],
    drawn: Floats,
    days: Floats,
    drawn_counts: tuple[Floats, ...],
    day_counts: tuple[Floats, ...],
) -> Floats:
    """Distance of the means inside and outside of each window ``[windows, checks]``."""
    inside = inside.astype(np.float64)
    n_drawn, n_days = np.concatenate(drawn_counts), np.concatenate(day_counts)
    ours = (inside @ drawn) / np.maximum(inside @ n_drawn, 1)[:, None]
    theirs = (days.sum(axis=0) - inside @ days) / np.maximum(n_days.sum() - inside @ n_days, 1)[:, None]
    return np.asarray(np.abs(ours - theirs))
