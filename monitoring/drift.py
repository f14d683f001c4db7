"""The drift report: limits calibrated on reference days decide, and Evidently shows the distributions beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace

from monitoring.drift_evidently import EVIDENTLY_HTML, EVIDENTLY_JSON, evidently_report
from monitoring.drift_page import add_calibration
from tastemaker.errors import DataError
from tastemaker.evaluation.drift import DriftLimits, DriftSummary, GroupDrift, MeasuredDrift, measure_drift
from tastemaker.evaluation.drift.measure import DAY
from tastemaker.evaluation.drift.summary import FEATURES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CALIBRATION_NAME", "HTML_NAME", "JSON_NAME", "SUMMARY_NAME", "DriftGroup", "write_drift_report"]

HTML_NAME = EVIDENTLY_HTML  # for people, self-contained
JSON_NAME = EVIDENTLY_JSON  # all of Evidently's figures
SUMMARY_NAME = "drift.json"  # what the gate reads
CALIBRATION_NAME = "drift.calibration.json"  # how the limits came about, check by check


@dataclass(frozen=True, eq=False)
class DriftGroup:
    """Frames that are compared beside the features.

    Attributes:
        name: ``predictions`` or ``targets``.
        reference: rows of reference days, with their ``day``.
        current: the same columns, of the window.
        segments: columns whose frequent values are looked at one by one.
    """

    name: str
    reference: "pd.DataFrame"
    current: "pd.DataFrame"
    segments: tuple[str, ...] = ()


def write_drift_report(
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
    directory: Path,
    *,
    labels: tuple[str, str] = ("training", "now"),
    limits: DriftLimits | None = None,
    segments: Sequence[str] = (),
    others: Sequence[DriftGroup] = (),
    figures: Sequence[tuple[str, float]] = (),
    seed: int = 0,
) -> DriftSummary:
    """Compare a window of days with reference days and write the report.

    Never raises because of what the frames hold: whatever stops the comparison of the features becomes the summary's
    ``error``, and a gate fails closed on it. Of the other groups, too little data is said and is no error.

    Args:
        reference: features ``[rows, columns]`` with a ``day`` column; numbers and categories.
        current: the same columns, of the window.
        directory: gets ``drift.html``, ``drift.evidently.json``, ``drift.json`` and ``drift.calibration.json``; made
            when missing.
        labels: what the two frames are, for readers.
        limits: see :class:`~tastemaker.evaluation.drift.DriftLimits`; the false-alarm rate is divided among the groups.
        segments: columns of the features whose frequent values are looked at one by one.
        others: further groups.
        figures: further figures that the report shows, by name, such as of ranking quality.
        seed: of the sampling and resampling.

    Returns:
        The summary, as written to ``drift.json``.
    """
    limits = limits or DriftLimits()
    directory.mkdir(parents=True, exist_ok=True)
    for name in (HTML_NAME, JSON_NAME, SUMMARY_NAME, CALIBRATION_NAME):
        (directory / name).unlink(missing_ok=True)  # an old report must not pass for this one's
    groups = [DriftGroup(FEATURES, reference, current, tuple(segments)), *others]
    shared = replace(limits, false_alarm_rate=limits.false_alarm_rate / len(groups))
    summary = DriftSummary(
        reference=labels[0], current=labels[1], reference_rows=len(reference), current_rows=len(current)
    )
    found: list[tuple[GroupDrift, MeasuredDrift]] = []
    frames: dict[str, tuple[pd.DataFrame, pd.DataFrame]] = {}
    for group in groups:
        try:
            pair = frames[group.name] = (_plain(group.reference), _plain(group.current))
            measured = measure_drift(*pair, limits=shared, segments=group.segments, seed=seed)
            found.append((_told(group, measured), measured))
        except Exception as error:  # fail closed: a comparison that broke is a result of its own
            shortage = isinstance(error, DataError)
            words = str(error) if shortage else f"{type(error).__name__}: {error}"
            failed = GroupDrift(
                name=group.name, reference_rows=len(group.reference), current_rows=len(group.current), error=words
            )
            summary = replace(summary, groups=(*summary.groups, failed))
            if group.name == FEATURES or not shortage:
                summary = replace(summary, error=words, shortage=shortage)
    columns = tuple(replace(one, group=told.name) for told, measured in found for one in measured.columns)
    if not summary.error and all(one.status == "unchecked" for one in columns):
        summary = replace(summary, error="no column could be checked")
    summary = replace(summary, groups=(*(told for told, _ in found), *summary.groups))
    if not summary.error:
        try:
            apart = evidently_report(frames, columns, figures, directory, limits=shared, seed=seed)
            told = tuple(replace(one, sampling_error=apart.get(one.name)) for one in summary.groups)
            summary = replace(summary, groups=told, columns=columns, report=HTML_NAME)
            add_calibration(directory / HTML_NAME, summary)
        except Exception as error:
            summary = replace(summary, error=f"{type(error).__name__}: {error}")
    (directory / CALIBRATION_NAME).write_bytes(_calibrations(summary))
    (directory / SUMMARY_NAME).write_bytes(summary.to_json())
    return summary


def _told(group: DriftGroup, measured: MeasuredDrift) -> GroupDrift:
    return GroupDrift(
        name=group.name,
        reference_rows=len(group.reference),
        current_rows=len(group.current),
        reference_days=measured.reference_days,
        current_days=measured.current_days,
        calibration=measured.calibration,
    )


def _calibrations(summary: DriftSummary) -> bytes:
    import msgspec

    found = {one.name: one.calibration for one in summary.groups if one.calibration is not None}
    return msgspec.json.format(msgspec.json.encode(found, order="deterministic"), indent=2)


def _plain(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Infinite values as missing, and everything that is no number as text, so that two kinds of columns are left."""
    frame = frame.replace([np.inf, -np.inf], np.nan)
    texts: dict[str, Any] = {}
    for name in frame.columns.difference([*frame.select_dtypes("number").columns, DAY]):
        column = frame[name].astype(object)
        texts[name] = column.map(str, na_action="ignore")
    return frame.assign(**texts)
