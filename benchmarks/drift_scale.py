"""A drift report on a million rows of 30 columns: time, memory, and how far the sample is off."""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.goal import Goal

__all__ = ["run"]

_ROWS = 1_000_000
_NUMBERS, _CATEGORIES = 24, 6


def run() -> list[Goal]:
    """Evidently's report of 1M x 30 against 1M x 30, with the calibration: 60 s, 4 GiB, by sampling."""
    # In a process of its own, so that its peak memory is its own.
    made = subprocess.run(
        [sys.executable, "-c", "from benchmarks.drift_scale import child; child()"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise SystemExit(made.stderr[-2_000:])
    seconds, gibibytes, off, distance, size = (float(word) for word in made.stdout.split()[-5:])
    Console().print(
        f"distances on all rows decide; those that Evidently shows, on a sample of 20,000 rows, are at most {off:.4f}"
        f" off (largest distance {distance:.3f}); the page has {size:.1f} MB",
        highlight=False,
    )
    return [
        Goal("drift report of 1M x 30, wall time", seconds, "<=", 60, " s"),
        Goal("drift report of 1M x 30, peak memory", gibibytes, "<=", 4, " GiB"),
        Goal("drift report of 1M x 30, largest error of the sample", off, "<=", 0.05),
    ]


def child() -> None:
    """Make the frames, measure, and print the figures."""
    from monitoring.drift import HTML_NAME, write_drift_report

    reference, current = _frame(1, 84), _frame(2, 28)
    with tempfile.TemporaryDirectory() as directory:
        begun = time.monotonic()
        summary = write_drift_report(reference, current, Path(directory), seed=1)
        seconds = time.monotonic() - begun
        size = (Path(directory) / HTML_NAME).stat().st_size / 1e6
    if summary.error:
        raise SystemExit(summary.error)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    distance = max(one.value or 0.0 for one in summary.columns)
    print(seconds, peak, summary.groups[0].sampling_error, distance, size)


def _frame(seed: int, days: int) -> "object":
    """Numbers of six shapes and categories of 3 to 1,000 values; every day a little different from the next."""
    import pandas as pd

    draw = np.random.default_rng(seed)
    day = draw.integers(0, days, _ROWS)
    wave = 1 + 0.05 * draw.normal(size=days)[day]
    shapes = (
        lambda: draw.normal(size=_ROWS) * wave,
        lambda: draw.lognormal(size=_ROWS) * wave,
        lambda: draw.poisson(3 * wave).astype(np.float64),
        lambda: draw.exponential(size=_ROWS) * wave,
        lambda: draw.pareto(2.5, _ROWS) * wave,
        lambda: np.where(draw.random(_ROWS) < 0.1, np.nan, draw.normal(size=_ROWS)),
    )
    columns = {f"number_{at}": shapes[at % len(shapes)]() for at in range(_NUMBERS)}
    for at, size in enumerate((3, 5, 12, 50, 200, 1000)[:_CATEGORIES]):
        weights = 1 / np.arange(1, size + 1)
        columns[f"category_{at}"] = draw.choice([f"c{n}" for n in range(size)], _ROWS, p=weights / weights.sum())
    return pd.DataFrame({**columns, "day": day})
