"""The data-drift report: Evidently compares the features a release learned from with those it meets now."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from tastemaker.evaluation.drift import ColumnDrift, DriftLimits, DriftSummary, fold_categories, sample, screen

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HTML_NAME", "JSON_NAME", "SUMMARY_NAME", "write_drift_report"]

HTML_NAME = "drift.html"  # for people, self-contained
JSON_NAME = "drift.evidently.json"  # all of Evidently's figures
SUMMARY_NAME = "drift.json"  # what the gate reads

_METHODS = {"wasserstein": "wasserstein", "jensen_shannon": "jensenshannon"}  # our name -> Evidently's


def write_drift_report(
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
    directory: Path,
    *,
    labels: tuple[str, str] = ("training", "now"),
    limits: DriftLimits | None = None,
    seed: int = 0,
) -> DriftSummary:
    """Compare two feature frames and write the report.

    Never raises because of what the frames hold: whatever stops the comparison becomes the summary's ``error``,
    and a gate fails closed on it.

    Args:
        reference: ``[rows, features]``; numbers and text, one column per feature.
        current: the same columns, at another time.
        directory: gets ``drift.html``, ``drift.evidently.json`` and ``drift.json``; made when missing.
        labels: what the two frames are, for readers.
        limits: see :class:`~tastemaker.evaluation.drift.DriftLimits`.
        seed: of the sampling.

    Returns:
        The summary, as written to ``drift.json``.
    """
    limits = limits or DriftLimits()
    directory.mkdir(parents=True, exist_ok=True)
    for name in (HTML_NAME, JSON_NAME, SUMMARY_NAME):
        (directory / name).unlink(missing_ok=True)  # an old report must not pass for this one's
    summary = DriftSummary(
        reference=labels[0], current=labels[1], reference_rows=len(reference), current_rows=len(current)
    )
    short = [
        f"the {label} frame has {len(frame)} rows"
        for label, frame in zip(labels, (reference, current), strict=True)
        if len(frame) < limits.min_rows
    ]
    if short:
        summary = replace(summary, error=f"{' and '.join(short)}; at least {limits.min_rows} are needed")
    else:
        try:
            columns = _measure(_prepared(reference, limits, seed), _prepared(current, limits, seed), directory, limits)
            error = "" if any(column.status != "unchecked" for column in columns) else "no column could be checked"
            report = HTML_NAME if (directory / HTML_NAME).exists() else ""
            summary = replace(summary, columns=columns, error=error, report=report)
        except Exception as error:  # fail closed: a comparison that broke is a result of its own
            summary = replace(summary, error=f"{type(error).__name__}: {error}")
    (directory / SUMMARY_NAME).write_bytes(summary.to_json())
    return summary


def _prepared(frame: "pd.DataFrame", limits: DriftLimits, seed: int) -> "pd.DataFrame":
    frame = sample(frame, limits.rows, seed).replace([np.inf, -np.inf], np.nan)
    # Booleans and categoricals become text, so that two kinds of columns are left.
    numbers = frame.select_dtypes("number").columns
    texts = {
        name: frame[name].astype(object).map(str, na_action="ignore") for name in frame.columns.difference(numbers)
    }
    return frame.assign(**texts)


def _measure(
    reference: "pd.DataFrame", current: "pd.DataFrame", directory: Path, limits: DriftLimits
) -> tuple[ColumnDrift, ...]:
    decided = screen(reference, current, limits)
    kinds: dict[str, str] = {}
    for name in reference.columns:
        if name in decided:
            continue
        numeric = (reference[name].dtype.kind in "iuf", current[name].dtype.kind in "iuf")
        if numeric[0] != numeric[1]:
            decided[name] = ColumnDrift(
                column=name, check="absent", status="drifted", reason="numbers in one frame, text in the other"
            )
            continue
        kinds[name] = "wasserstein" if numeric[0] else "jensen_shannon"
        if not numeric[0]:
            reference[name], current[name] = fold_categories(reference[name], current[name], limits.categories)
    measured = _evidently(reference, current, kinds, directory, limits) if kinds else {}
    return tuple({**decided, **measured}[name] for name in dict.fromkeys([*reference.columns, *current.columns]))


def _evidently(
    reference: "pd.DataFrame", current: "pd.DataFrame", kinds: dict[str, str], directory: Path, limits: DriftLimits
) -> dict[str, ColumnDrift]:
    os.environ.setdefault("DO_NOT_TRACK", "1")  # read by Evidently when it is imported
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.tests import lte

    bounds = {"wasserstein": limits.wasserstein, "jensen_shannon": limits.jensen_shannon}
    definition = DataDefinition(
        numerical_columns=[name for name, kind in kinds.items() if kind == "wasserstein"],
        categorical_columns=[name for name, kind in kinds.items() if kind == "jensen_shannon"],
    )
    report = Report(
        [
            ValueDrift(column=name, method=_METHODS[kind], threshold=bounds[kind], tests=[lte(bounds[kind])])
            for name, kind in kinds.items()
        ]
    )
    columns = list(kinds)
    snapshot = report.run(
        Dataset.from_pandas(current[columns], definition), Dataset.from_pandas(reference[columns], definition)
    )
    result: dict[str, Any] = snapshot.dict()
    values = {metric["config"]["column"]: float(metric["value"]) for metric in result["metrics"]}
    if set(values) != set(columns) or len(result["tests"]) != len(columns):
        raise RuntimeError(f"Evidently answered for {len(values)} of {len(columns)} columns")
    snapshot.save_html(str(directory / HTML_NAME))
    snapshot.save_json(str(directory / JSON_NAME))
    return {name: _result(name, kinds[name], values[name], bounds[kinds[name]]) for name in columns}


def _result(name: str, kind: str, value: float, limit: float) -> ColumnDrift:
    if not np.isfinite(value):
        raise RuntimeError(f"Evidently's {kind} distance of {name} is {value}")
    return ColumnDrift(
        column=name, check=kind, status="drifted" if value > limit else "stable", value=value, limit=limit
    )
