"""Notices that the declarations were applied anew while a worker runs."""

from pathlib import Path

from tastemaker.errors import TastemakerError
from tastemaker.features.plan import FeaturePlan

__all__ = ["PlanChanged", "PlanWatch"]


class PlanChanged(TastemakerError):
    """The declarations were applied anew; whoever starts afresh builds the new views and goes on with the others."""


class PlanWatch:
    """Notices that the feature plan on disk is no longer the one that the worker runs by.

    Args:
        path: the plan's file.
        plan: the plan that the worker has loaded.
    """

    def __init__(self, path: Path, plan: FeaturePlan) -> None:
        self._path = path
        self._hash = plan.state_hash
        self._stamp = _stamp(path)

    def check(self) -> None:
        """Compare.

        Raises:
            PlanChanged: another plan is there.
        """
        stamp = _stamp(self._path)
        if stamp == self._stamp or stamp is None:
            return
        changed = FeaturePlan.load(self._path).state_hash
        if changed != self._hash:
            raise PlanChanged(f"the feature plan changed from {self._hash} to {changed}; new views are built next")
        self._stamp = stamp


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
