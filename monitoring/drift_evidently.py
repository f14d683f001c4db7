"""Evidently's part of the drift report: distributions and distances on a sample, with the calibrated limits."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tastemaker.evaluation.drift import ColumnDrift, DriftLimits
from tastemaker.evaluation.drift.coding import clip_range, fold_categories, frequent_categories, is_number
from tastemaker.evaluation.drift.summary import FEATURES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EVIDENTLY_HTML", "EVIDENTLY_JSON", "evidently_report"]

EVIDENTLY_HTML = "drift.html"
EVIDENTLY_JSON = "drift.evidently.json"

_METHODS = {"wasserstein": "wasserstein", "jensen_shannon": "jensenshannon"}  # our name -> Evidently's
Frames = Mapping[str, "tuple[pd.DataFrame, pd.DataFrame]"]


def evidently_report(
    frames: Frames,
    columns: Sequence[ColumnDrift],
    figures: Sequence[tuple[str, float]],
    directory: Path,
    *,
    limits: DriftLimits,
    seed: int,
) -> dict[str, float]:
    """Write Evidently's HTML and JSON.

    Args:
        frames: reference and current rows by group.
        columns: what was found on all rows; each distance's limit goes to Evidently as its threshold.
        figures: further figures to show, by name.
        directory: where to.
        limits: how many rows Evidently sees of each frame.
        seed: of the sample.

    Returns:
        By group, the largest difference between Evidently's distance on the sample and the one on all rows.

    Raises:
        RuntimeError: Evidently left a column out.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")  # read by Evidently when it is imported
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.tests import lte

    shown = {_name(one): one for one in columns if one.check in _METHODS and not one.segment and one.limit is not None}
    if not shown:
        return {}
    prepared = _sampled(frames, shown, limits, seed)
    definition = DataDefinition(
        numerical_columns=[name for name, one in shown.items() if one.check == "wasserstein"],
        categorical_columns=[name for name, one in shown.items() if one.check == "jensen_shannon"],
    )
    metrics: list[Any] = [
        ValueDrift(column=name, method=_METHODS[one.check], threshold=one.limit, tests=[lte(float(one.limit or 0))])
        for name, one in shown.items()
    ]
    metrics += _figures(figures)
    snapshot = Report(metrics).run(
        Dataset.from_pandas(prepared[1], definition), Dataset.from_pandas(prepared[0], definition)
    )
    result: dict[str, Any] = snapshot.dict()
    values = {
        metric["config"]["column"]: float(metric["value"])
        for metric in result["metrics"]
        if "column" in metric.get("config", {})
    }
    if set(values) != set(shown) or len(result["tests"]) != len(shown):
        raise RuntimeError(f"Evidently answered for {len(values)} of {len(shown)} columns")
    snapshot.save_html(str(directory / EVIDENTLY_HTML))
    snapshot.save_json(str(directory / EVIDENTLY_JSON))
    apart: dict[str, float] = {}
    for name, one in shown.items():
        apart[one.group] = max(apart.get(one.group, 0.0), abs(values[name] - float(one.value or 0.0)))
    return apart


def _name(one: ColumnDrift) -> str:
    return one.column if one.group == FEATURES else f"{one.group}: {one.column}"


def _sampled(
    frames: Frames, shown: Mapping[str, ColumnDrift], limits: DriftLimits, seed: int
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """The columns as they were measured: numbers clipped to the reference's range, rare categories folded."""
    import pandas as pd

    found: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    for group, pair in frames.items():
        # Rows first, then one column at a time: a frame of a million rows is not copied.
        places = [_places(len(frame), limits.rows, seed) for frame in pair]
        for name, one in shown.items():
            if one.group != group:
                continue
            before = pair[0][one.column]
            parts = [
                frame[one.column].iloc[rows].reset_index(drop=True) for frame, rows in zip(pair, places, strict=True)
            ]
            if is_number(before):
                values = before.to_numpy(np.float64)
                span = clip_range(values[np.isfinite(values)])
                parts = [part.astype(np.float64).clip(*span) for part in parts]
            else:
                kept = frequent_categories(before, limits.categories)
                parts = [fold_categories(part, kept) for part in parts]
            found[0][name], found[1][name] = parts
    return pd.DataFrame(found[0]), pd.DataFrame(found[1])


def _places(n: int, rows: int, seed: int) -> npt.NDArray[np.int64]:
    """At most ``rows`` of ``n`` places, drawn without replacement."""
    return np.arange(n) if n <= rows else np.random.default_rng(seed).choice(n, rows, replace=False)


def _figures(figures: Sequence[tuple[str, float]]) -> list[Any]:
    """Our own figures as metrics of Evidently, so that one report has all."""
    if not figures:
        return []
    from monitoring.drift_figures import OwnFigure

    return [OwnFigure(title=name, figure=value) for name, value in figures]
