"""Make a home directory ready for the stack: lake tables, compiled declarations, online state.

Everything here is done while no stream worker runs on the home; the writer lock holds that.
"""

from collections.abc import Callable

from tastemaker.events.adapters.dataset import Dataset
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stream.backfill import Backfilled, backfill
from tastemaker.stream.lock import writer_lock

__all__ = ["import_history", "is_prepared", "prepare", "rebuild_online"]


def is_prepared(settings: Settings) -> bool:
    """Whether the declarations are compiled and the online state exists, so that the stream worker can start."""
    return settings.plan_path.exists() and settings.online_path.exists()


def prepare(settings: Settings, progress: Callable[[str], None] = lambda text: None) -> None:
    """Create what is missing: empty lake tables, the feature plan, the online state.

    Args:
        settings: which home, and which repository has ``feature_repo/``.
        progress: told what is being done.

    Raises:
        DataError: a declaration cannot be executed.
        StackError: another process writes to the home.
    """
    lake = Lake(settings.lake_dir)
    lake.create()
    if not settings.plan_path.exists():
        from tastemaker.features.repository import apply

        progress("compiling the feature declarations")
        apply(settings)
    plan = FeaturePlan.load(settings.plan_path)
    if settings.online_path.exists():
        state = FeatureState.open(settings.online_path, plan)
        stale = state.is_stale
        state.close()
        if not stale:
            return
    progress("building the online store from the lake")
    rebuild_online(settings)


def import_history(settings: Settings, dataset: Dataset) -> Backfilled:
    """Bring a data set into the lake.

    Call :func:`rebuild_online` afterwards, once all data sets are in.

    Raises:
        DataError: the data set breaks the contract.
        StackError: another process writes to the home, such as the stack's worker.
    """
    with writer_lock(settings.home, "a data import"):
        return backfill(Lake(settings.lake_dir), dataset)


def rebuild_online(settings: Settings) -> None:
    """Build the online state anew from the lake, in one transaction.

    Raises:
        DataError: there is no feature plan.
        StackError: another process writes to the home, such as the stack's worker.
    """
    plan = FeaturePlan.load(settings.plan_path)
    with writer_lock(settings.home, "a rebuild of the online store"):
        state = FeatureState.open(settings.online_path, plan)
        try:
            state.bootstrap(Lake(settings.lake_dir))
        finally:
            state.close()
