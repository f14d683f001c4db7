"""Windows of days with and without drift, and what the gate's checks of drift and data quality say of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.drift_data import NUMBERS

if TYPE_CHECKING:
    import pandas as pd

    from tastemaker.evaluation.drift import DriftFigures

__all__ = ["KINDS", "REFERENCE_DAYS", "ROWS", "WINDOW_DAYS", "Trial", "consecutive", "resampled"]

ROWS = 50_000  # of reference and window each, at most
REFERENCE_DAYS, WINDOW_DAYS = 84, 28
KINDS = {
    "shift": "0.25 sd in one number",
    "swap": "two categories swapped (40 % and 30 %)",
    "missing": "5 % new missing values",
    "frozen": "a frozen column",
}
_SHIFT, _MISSING = 0.25, 0.05


@dataclass(frozen=True)
class Trial:
    """One window.

    Attributes:
        rows: of the window.
        blocked: columns that fired when the gate blocked it as it was.
        changed: column that was changed, by kind.
        caught: kinds of which the gate blocked the window with that change alone, the changed column having fired.
    """

    rows: int
    blocked: tuple[str, ...]
    changed: dict[str, str]
    caught: frozenset[str]


def resampled(frame: "pd.DataFrame", trials: int, seed: int) -> Iterator[Trial]:
    """Windows of days drawn at random, beside reference days drawn from the others, and each with four changes.

    The judged days are none of the reference days, and each trial draws both anew. Which number is changed goes round.
    """
    from tastemaker.evaluation.drift import collect_figures

    days, of_day = _by_day(frame)
    draw = np.random.default_rng(seed)
    for trial in range(trials):
        order = draw.permutation(days)
        reference, current = _drawn(frame, of_day, order[WINDOW_DAYS:][:REFERENCE_DAYS], order[:WINDOW_DAYS], draw)
        whole = collect_figures(reference, current, seed=trial)
        columns = {kind: NUMBERS[(3 * trial + at) % len(NUMBERS)] for at, kind in enumerate(KINDS)}
        columns["swap"] = "price_band"
        caught = set()
        for kind, column in columns.items():
            changed = current[["day", column]].assign(**{column: _CHANGES[kind](current[column], draw)})
            # Of the other columns nothing changed, so they are not measured again.
            figures = whole.with_columns(collect_figures(reference[["day", column]], changed, seed=trial))
            if column in _blocking(figures):
                caught.add(kind)
        yield Trial(len(current), _blocking(whole), columns, frozenset(caught))


def consecutive(frame: "pd.DataFrame", seed: int) -> Iterator[bool]:
    """Whether windows of days in a row, with the days before them, as they were, are blocked: season and growth."""
    from tastemaker.evaluation.drift import collect_figures

    days, of_day = _by_day(frame)
    draw = np.random.default_rng(seed)
    for begin in range(0, len(days) - REFERENCE_DAYS - WINDOW_DAYS + 1, WINDOW_DAYS):
        before, window = np.split(days[begin:][: REFERENCE_DAYS + WINDOW_DAYS], [REFERENCE_DAYS])
        yield bool(_blocking(collect_figures(*_drawn(frame, of_day, before, window, draw), seed=begin)))


def _by_day(frame: "pd.DataFrame") -> tuple[np.ndarray, dict[str, np.ndarray]]:
    of_day = {str(day): rows for day, rows in frame.groupby("day").indices.items()}
    return np.array(sorted(of_day)), of_day


def _drawn(
    frame: "pd.DataFrame",
    of_day: dict[str, np.ndarray],
    before: np.ndarray,
    window: np.ndarray,
    draw: np.random.Generator,
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Reference and window: all rows of these days, or so many of them."""
    parts = []
    for days in (before, window):
        rows = np.concatenate([of_day[day] for day in days])
        rows = rows if len(rows) <= ROWS else draw.choice(rows, ROWS, replace=False)
        parts.append(frame.iloc[rows].reset_index(drop=True))
    return parts[0], parts[1]


def _shifted(column: "pd.Series[float]", draw: np.random.Generator) -> "pd.Series[float]":
    # Of the values without their outermost .1 %: one order of 80,000 pieces would make a quarter of it a large shift.
    inner = column.clip(*column.quantile([0.001, 0.999]))
    return column + _SHIFT * float(inner.std())


def _swapped(column: "pd.Series[str]", draw: np.random.Generator) -> "pd.Series[str]":
    return column.map({"low": "middle", "middle": "low"}).fillna(column)


def _with_missing(column: "pd.Series[float]", draw: np.random.Generator) -> "pd.Series[float]":
    # Of rows that have a value: what is missing already cannot be lost.
    lost = draw.choice(np.flatnonzero(column.notna()), round(_MISSING * len(column)), replace=False)
    return column.mask(np.isin(np.arange(len(column)), lost))


def _frozen(column: "pd.Series[float]", draw: np.random.Generator) -> "pd.Series[float]":
    return column * 0 + column.median() if column.notna().all() else column.where(column.isna(), column.median())


_CHANGES = {"shift": _shifted, "swap": _swapped, "missing": _with_missing, "frozen": _frozen}


def _blocking(figures: "DriftFigures") -> tuple[str, ...]:
    """Columns for which the gate's checks of drift and data quality say no; none when both pass."""
    from tastemaker.evaluation.drift import DriftSummary, GroupDrift, judge_figures
    from tastemaker.promotion.checks import CHECKS
    from tastemaker.promotion.evidence import Evidence
    from tastemaker.promotion.policy import load_policy

    measured = judge_figures(figures)
    group = GroupDrift(name="features", reference_rows=ROWS, current_rows=ROWS, calibration=measured.calibration)
    summary = DriftSummary(
        reference="reference days",
        current="window",
        reference_rows=ROWS,
        current_rows=ROWS,
        columns=measured.columns,
        groups=(group,),
    )
    limits = load_policy(Path("monitoring/gates/strict.yaml")).checks
    evidence = Evidence(release="benchmark", events=0, drift=summary)
    outcomes = {CHECKS[name](getattr(limits, name), evidence).status for name in ("drift", "data_quality")}
    return summary.drifted if outcomes != {"pass"} else ()
