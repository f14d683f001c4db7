"""``python -m monitoring.check_drift RELEASE DAYS SEED DIRECTORY``: measure the drift since a release's cut."""

import sys
from datetime import timedelta
from pathlib import Path

from monitoring.drift_window import measure_window
from tastemaker.evaluation.drift import DriftSummary
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.settings import Settings

__all__ = ["check_drift"]


def check_drift(settings: Settings, release: str, days: int, directory: Path, *, seed: int = 1) -> DriftSummary:
    """Compare the last days with those before a release's cut.

    Args:
        settings: of the platform.
        release: a registered release, whose served lists are looked at as well.
        days: how many up to now; days before the cut are left out.
        directory: for the report's files.
        seed: of the samples and the resampling.

    Raises:
        DataError: there is no such release.
    """
    cut, now = ReleaseRegistry(settings).get(release).lineage.data_to, settings.clock.now()
    start = max(cut, now - timedelta(days=days))
    return measure_window(settings, directory, cut=cut, start=start, end=now, release=release, seed=seed)


if __name__ == "__main__":
    check_drift(Settings.from_env(), sys.argv[1], int(sys.argv[2]), Path(sys.argv[4]), seed=int(sys.argv[3]))
