"""Drift of a frame of daily rows: distances, limits calibrated on reference days, and the summary a gate reads."""

from tastemaker.evaluation.drift.calibration import CheckCalibration, DriftCalibration
from tastemaker.evaluation.drift.collect import DriftFigures, collect_figures
from tastemaker.evaluation.drift.limits import DriftLimits
from tastemaker.evaluation.drift.measure import MeasuredDrift, judge_figures, measure_drift
from tastemaker.evaluation.drift.summary import ColumnDrift, DriftSummary, GroupDrift

__all__ = [
    "CheckCalibration",
    "ColumnDrift",
    "DriftCalibration",
    "DriftFigures",
    "DriftLimits",
    "DriftSummary",
    "GroupDrift",
    "MeasuredDrift",
    "collect_figures",
    "judge_figures",
    "measure_drift",
]
