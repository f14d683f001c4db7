"""The drift check on windows without drift, and on windows with one thing changed: how often it fires."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.drift_data import DATASETS, NUMBERS, purchase_frame
from benchmarks.goal import Goal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run"]

_TRIALS = int(os.environ.get("DRIFT_TRIALS", "100"))
_ROWS = 50_000
_REFERENCE_DAYS, _WINDOW_DAYS = 84, 28
_SHIFT = 0.25
_KINDS = ("shift", "swap", "missing", "frozen")
_WORDS = {
    "shift": "0.25 sd in one of 26 numbers",
    "swap": "two categories swapped (40 % and 30 %)",
    "missing": "5 % new missing values",
    "frozen": "a frozen column",
}


@dataclass
class _Found:
    """Counts of one data set."""

    trials: int = 0
    blocked: int = 0
    consecutive: list[bool] = field(default_factory=list)
    caught: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_KINDS, 0))
    missed: list[str] = field(default_factory=list)


def run() -> list[Goal]:
    """The gate's drift checks by strict.yaml: false alarms <= 5 % of 100 windows, four kinds of drift found >= 95 %."""
    console, goals = Console(), []
    table = Table("data", "windows", "blocked without drift", *(_WORDS[kind] for kind in _KINDS))
    for name, source in DATASETS.items():
        try:
            events = source.load().events
        except Exception as error:
            raise SystemExit(f"{name} cannot be read ({error}); {source.missing}") from error
        found = _measure(purchase_frame(events), console)
        table.add_row(
            name,
            str(found.trials),
            f"{found.blocked / found.trials:.0%}",
            *(f"{found.caught[kind] / found.trials:.0%}" for kind in _KINDS),
        )
        if found.missed:
            console.print(f"{name}, not caught: {', '.join(sorted(found.missed))}", highlight=False)
        console.print(
            f"{name}: of {len(found.consecutive)} windows of {_WINDOW_DAYS} days in a row, with the {_REFERENCE_DAYS}"
            f" days before them as they were, {np.mean(found.consecutive):.0%} are blocked: season and growth",
            highlight=False,
        )
        goals.append(Goal(f"{name}, blocked without drift", found.blocked / found.trials, "<=", 0.05))
        goals += [
            Goal(f"{name}, missed: {_WORDS[kind]}", 1 - found.caught[kind] / found.trials, "<=", 0.05)
            for kind in _KINDS
        ]
    console.print(table)
    return goals


def _measure(frame: "pd.DataFrame", console: Console) -> _Found:
    days = np.array(sorted(frame["day"].unique()))
    of_day = {day: rows.to_numpy() for day, rows in frame.groupby("day").groups.items()}
    found, draw = _Found(), np.random.default_rng(1)
    for trial in range(_TRIALS):
        order = draw.permutation(days)
        reference, current = _drawn(frame, of_day, order, draw)
        found.trials += 1
        found.blocked += bool(_blocking(reference, current, trial))
        changed, columns = _changed(current, trial, draw)
        fired = _blocking(reference, changed, trial)
        for kind in _KINDS:
            if columns[kind] in fired:
                found.caught[kind] += 1
            else:
                found.missed.append(f"{kind} of {columns[kind]}")
        if trial % 10 == 9:
            console.print(f"{trial + 1} of {_TRIALS} windows, {found.blocked} blocked, {found.caught}", highlight=False)
    for begin in _starts(len(days)):
        order = np.concatenate([days[begin + _REFERENCE_DAYS :][:_WINDOW_DAYS], days[begin:][:_REFERENCE_DAYS]])
        found.consecutive.append(bool(_blocking(*_drawn(frame, of_day, order, draw), begin)))
    return found


def _starts(days: int) -> Iterator[int]:
    yield from range(0, days - _REFERENCE_DAYS - _WINDOW_DAYS + 1, _WINDOW_DAYS)


def _drawn(
    frame: "pd.DataFrame", of_day: dict[str, np.ndarray], order: np.ndarray, draw: np.random.Generator
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Reference and window: disjoint sets of days, at most so many rows of each."""
    parts = []
    for chosen in (order[_WINDOW_DAYS:][:_REFERENCE_DAYS], order[:_WINDOW_DAYS]):
        rows = np.concatenate([of_day[day] for day in chosen])
        rows = rows if len(rows) <= _ROWS else draw.choice(rows, _ROWS, replace=False)
        parts.append(frame.iloc[rows].reset_index(drop=True))
    return parts[0], parts[1]


def _changed(current: "pd.DataFrame", trial: int, draw: np.random.Generator) -> tuple["pd.DataFrame", dict[str, str]]:
    """Four columns with something wrong; which numbers goes round with the trials."""
    changed = current.copy()
    columns = {kind: NUMBERS[(3 * trial + at) % len(NUMBERS)] for at, kind in enumerate(("shift", "missing", "frozen"))}
    shifted = changed[columns["shift"]].astype(float)
    changed[columns["shift"]] = shifted + _SHIFT * shifted.std()
    changed["price_band"] = changed["price_band"].map({"low": "middle", "middle": "low"}).fillna(changed["price_band"])
    changed[columns["missing"]] = changed[columns["missing"]].mask(draw.random(len(changed)) < 0.05)
    changed[columns["frozen"]] = float(np.nanmedian(current[columns["frozen"]].astype(float)))
    return changed, {**columns, "swap": "price_band"}


def _blocking(reference: "pd.DataFrame", current: "pd.DataFrame", seed: int) -> set[str]:
    """Columns for which the gate's checks of drift and data quality say no; empty when both pass."""
    from tastemaker.evaluation.drift import DriftSummary, GroupDrift, measure_drift
    from tastemaker.promotion.checks import CHECKS
    from tastemaker.promotion.evidence import Evidence
    from tastemaker.promotion.policy import load_policy

    measured = measure_drift(reference, current, seed=seed)
    group = GroupDrift(
        name="features", reference_rows=len(reference), current_rows=len(current), calibration=measured.calibration
    )
    summary = DriftSummary(
        reference="reference days",
        current="window",
        reference_rows=len(reference),
        current_rows=len(current),
        columns=measured.columns,
        groups=(group,),
    )
    limits = load_policy(Path("monitoring/gates/strict.yaml")).checks
    evidence = Evidence(release="benchmark", events=0, drift=summary)
    outcomes = [CHECKS[name](getattr(limits, name), evidence).status for name in ("drift", "data_quality")]
    return set(summary.drifted) if set(outcomes) != {"pass"} else set()
