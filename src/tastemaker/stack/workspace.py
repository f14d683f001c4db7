"""Make a home directory ready for the stack: lake tables, compiled declarations, history.

The online state is the stream worker's: it builds it from the lake when there is none, or when the declarations
changed.
"""

from pathlib import Path

from tastemaker.events.adapters.dataset import Dataset
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.stores.opening import open_online_reader
from tastemaker.features.stores.view_ages import read_ages
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stream.backfill import Backfilled, backfill
from tastemaker.stream.lock import writer_lock

__all__ = ["import_history", "prepare", "rebuild_online"]


def prepare(settings: Settings) -> FeaturePlan:
    """Create what is missing: empty lake tables, and the feature plan.

    Args:
        settings: which home, and which repository has ``feature_repo/``.

    Raises:
        DataError: a declaration cannot be executed.
    """
    from tastemaker.features.repository import apply

    Lake(settings.lake_dir).create()
    return FeaturePlan.load(settings.plan_path) if settings.plan_path.exists() else apply(settings)


def import_history(settings: Settings, dataset: Dataset) -> Backfilled:
    """Bring a data set into the lake, and into the online state if there is one already.

    Raises:
        DataError: the data set breaks the contract.
        StackError: another process writes to the home, such as the stack's worker.
        StoreUnavailable: the online store's server cannot be reached; nothing was imported.
    """
    with writer_lock(settings.home, "a data import"):
        has_state = _has_online_state(settings)
        added = backfill(Lake(settings.lake_dir), dataset)
    if added.events + added.items and has_state:
        rebuild_online(settings)
    return added


def rebuild_online(settings: Settings) -> None:
    """Build the online state anew from the lake, in one transaction.

    Raises:
        DataError: there is no feature plan.
        StackError: another process writes to the home, such as the stack's worker.
    """
    plan = FeaturePlan.load(settings.plan_path)
    with writer_lock(settings.home, "a rebuild of the online store"):
        state = FeatureState.open(settings.online_location, plan)
        try:
            state.bootstrap(Lake(settings.lake_dir))
        finally:
            state.close()


def _has_online_state(settings: Settings) -> bool:
    location = settings.online_location
    if isinstance(location, Path):
        return location.exists()
    reader = open_online_reader(location)
    try:
        return read_ages(reader) is not None
    finally:
        reader.close()
