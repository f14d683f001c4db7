"""Drift of a shop: the days before a moment as the reference, the days after it as the window."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from monitoring.drift import DriftGroup, write_drift_report
from tastemaker.evaluation.drift import DriftLimits, DriftSummary
from tastemaker.lake.tables import Lake
from tastemaker.promotion.drift_samples import daily_features, daily_outcomes, daily_served
from tastemaker.promotion.samples import SEGMENTS
from tastemaker.settings import Settings

__all__ = ["REFERENCE_DAYS", "measure_window"]

REFERENCE_DAYS = 84  # twelve weeks: enough days to draw from, and near enough to be compared with
_DAY = timedelta(days=1)


def measure_window(
    settings: Settings,
    directory: Path,
    *,
    cut: datetime,
    start: datetime,
    end: datetime,
    release: str | None = None,
    reference_days: int = REFERENCE_DAYS,
    rows: int = 5_000,
    limits: DriftLimits | None = None,
    figures: Sequence[tuple[str, float]] = (),
    seed: int = 0,
) -> DriftSummary:
    """Compare a window of days with those before a release's cut and write the report.

    Features are those of the ranking service, by day and segment; outcomes are what shoppers did; predictions are the
    scores of a release's served lists in the window and before it.

    Args:
        settings: of the platform.
        directory: for the report's files.
        cut: the release learned from what came before it (UTC); the reference days end here.
        start: of the window, not before the cut; both fall to the midnight before.
        end: of the window; the last, unfinished day counts.
        release: whose served lists are looked at; None: of no one.
        reference_days: before the cut.
        rows: of reference and window each, at most, for the features; as many events and lists.
        limits: see :func:`~monitoring.drift.write_drift_report`.
        figures: likewise.
        seed: of the samples.

    Returns:
        The summary.
    """
    lake, limits = Lake(settings.lake_dir), limits or DriftLimits()
    cut, start = (moment.replace(hour=0, minute=0, second=0, microsecond=0) for moment in (cut, start))
    spans = (cut - reference_days * _DAY, cut), (start, end)
    features = [daily_features(settings, *span, rows, seed) for span in spans]
    outcomes = [daily_outcomes(lake, *span, 4 * rows, seed) for span in spans]
    others = [DriftGroup("targets", outcomes[0], outcomes[1])]
    if release is not None:
        before = start - reference_days * _DAY, start
        served = [daily_served(lake, *span, rows, seed, release=release) for span in (before, (start, end))]
        others.append(DriftGroup("predictions", served[0], served[1], ("surface",)))
    return write_drift_report(
        features[0],
        features[1],
        directory,
        labels=(f"the {reference_days} days before {cut:%Y-%m-%d}", f"{start:%Y-%m-%d} to {end:%Y-%m-%d}"),
        limits=limits,
        segments=SEGMENTS,
        others=others,
        figures=figures,
        seed=seed,
    )
