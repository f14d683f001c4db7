"""The drift check on windows without drift, and on windows with one thing changed: how often it fires."""

import os
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.drift_data import DATASETS, purchase_frame
from benchmarks.drift_trials import KINDS, REFERENCE_DAYS, WINDOW_DAYS, Trial, consecutive, resampled
from benchmarks.goal import Goal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run"]

_TRIALS = int(os.environ.get("DRIFT_TRIALS", "100"))
_SEED = int(os.environ.get("DRIFT_SEED", "1"))  # other windows
_DATA = os.environ.get("DRIFT_DATA", "")  # one of the data sets alone


def run() -> list[Goal]:
    """The gate's drift checks by strict.yaml: false alarms <= 5 % of 100 windows, four kinds of drift found >= 95 %."""
    console, goals = Console(), []
    table = Table("data", "windows", "rows", "blocked without drift", *KINDS.values())
    if _DATA and _DATA not in DATASETS:
        raise SystemExit(f"DRIFT_DATA={_DATA} is none of {', '.join(DATASETS)}")
    for name, source in DATASETS.items():
        if _DATA not in ("", name):
            continue
        try:
            events = source.load().events
        except Exception as error:
            raise SystemExit(f"{name} cannot be read ({error}); {source.missing}") from error
        trials = _measure(name, purchase_frame(events), console)
        blocked = sum(bool(one.blocked) for one in trials)
        caught = {kind: sum(kind in one.caught for one in trials) for kind in KINDS}
        table.add_row(
            name,
            str(len(trials)),
            f"{np.median([one.rows for one in trials]):,.0f}",
            str(blocked),
            *(str(count) for count in caught.values()),
        )
        goals.append(Goal(f"{name}, blocked without drift", blocked / len(trials), "<=", 0.05))
        goals += [
            Goal(f"{name}, missed: {words}", 1 - caught[kind] / len(trials), "<=", 0.05)
            for kind, words in KINDS.items()
        ]
    console.print(table)
    return goals


def _measure(name: str, frame: "pd.DataFrame", console: Console) -> list[Trial]:
    trials = []
    for one in resampled(frame, _TRIALS, _SEED):
        trials.append(one)
        if len(trials) % 10 == 0:
            blocked = sum(bool(one.blocked) for one in trials)
            console.print(f"{name}: {len(trials)} of {_TRIALS} windows, {blocked} blocked", highlight=False)
    for words, columns in (
        ("fired without drift", [column for one in trials for column in one.blocked]),
        (
            "not caught",
            [f"{kind} of {one.changed[kind]}" for one in trials for kind in KINDS if kind not in one.caught],
        ),
    ):
        if columns:
            counted = ", ".join(f"{column} ({count})" for column, count in sorted(Counter(columns).items()))
            console.print(f"{name}, {words}: {counted}", highlight=False)
    season = list(consecutive(frame, _SEED))
    console.print(
        f"{name}: of {len(season)} windows of {WINDOW_DAYS} days in a row, with the {REFERENCE_DAYS} days before them"
        f" as they were, {sum(season)} are blocked: season and growth",
        highlight=False,
    )
    return trials
