"""Build views of the online store from the lake, while lists are served and events come.

What is to be built, and how far it is, stands in the online store (see
:class:`~tastemaker.features.stores.view_ages.ViewAges`), so whoever was killed, somebody goes on: the stream worker
where one runs, else whoever called :func:`follow_build`.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tastemaker import names
from tastemaker.errors import DataError, StackError
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.stores.opening import find_online_reader
from tastemaker.features.stores.protocol import StoreConflict
from tastemaker.features.stores.view_ages import REBUILD, Progress, read_ages
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stack.record import read_stack
from tastemaker.stream.lock import building_lock, workers_run, writer_lock

__all__ = ["Build", "begin_rebuild", "follow_build", "pending_views", "read_build"]

_LOOK_S: Final = 0.2
_TRIES: Final = 20


@dataclass(frozen=True)
class Build:
    """What is still to be built.

    Attributes:
        views: how far each view is that is not complete, by name.
        whole: the store is new, or was emptied: everything is built, in one transaction.
        by_worker: the stream worker does it, or will when it is up.
        share: of everything, where ``whole``; from 0 to 1.
    """

    views: Mapping[str, Progress] = field(default_factory=dict)
    whole: bool = False
    by_worker: bool = False
    share: float = 0.0

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return not self.views and not self.whole


def read_build(settings: Settings) -> Build:
    """What is still to be built, as the store says."""
    by_worker = _has_worker(settings)
    with find_online_reader(settings.online_location) as reader:
        ages = None if reader is None or reader.get_meta(REBUILD) else read_ages(reader)
    if ages is None:
        return Build(whole=True, by_worker=by_worker)
    return Build({view.partition("@")[0]: own for view, own in ages.unfinished.items()}, by_worker=by_worker)


def pending_views(settings: Settings, plan: FeaturePlan) -> tuple[str, ...]:
    """Names of the views of a plan that the online store is not complete in; none while there is no store yet."""
    with find_online_reader(settings.online_location) as reader:
        ages = None if reader is None else read_ages(reader)
    return () if ages is None else tuple(view.name for view in plan.views if view.signature not in ages.current)


def begin_rebuild(settings: Settings, views: Collection[str] = ()) -> Build:
    """Note in the store what is to be built: what the applied declarations lack, and these views once more.

    Args:
        settings: of the platform; its declarations were applied.
        views: names; each stays readable as it is until its last part is replaced.

    Returns:
        What is to be built now; what was begun before is among it, as far as it is.

    Raises:
        DataError: there is no feature plan or no lake, or no view of such a name.
    """
    plan = FeaturePlan.load(settings.plan_path)
    for name in views:
        plan.view(name)
    lake = Lake(settings.lake_dir)
    if not lake.path(names.TABLE_EVENTS).is_dir():
        raise DataError(f"there is no lake at {lake.root} to build from; bring data in with `tastemaker data import`")
    location = settings.online_location
    if isinstance(location, Path) and not location.exists():
        return read_build(settings)
    for remaining in reversed(range(_TRIES)):
        try:
            state = FeatureState.open(location, plan, lake=lake)
            try:
                state.begin_build(views)
            finally:
                state.close()
            break
        except StoreConflict:
            if not remaining:
                raise
            time.sleep(_LOOK_S)
    return read_build(settings)


def follow_build(
    settings: Settings, report: Callable[[Build], None], pause: Callable[[float], None] = time.sleep
) -> None:
    """Go on until everything is built.

    Where the stack or a stream worker runs, that builds, and this only looks. Else this process builds; a worker that
    starts meanwhile waits until it is done.

    Args:
        settings: of the platform.
        report: told again and again how far it is, at last that it is done.
        pause: waits some seconds.

    Raises:
        StackError: an import writes to the home.
    """
    while not (build := read_build(settings)).done:
        report(build)
        if build.by_worker:
            pause(_LOOK_S)
            continue
        try:
            with writer_lock(settings.home, "a rebuild of the online store"), building_lock(settings.home):
                _build(settings, report)
        except StackError:
            if not _has_worker(settings):
                raise
    report(build)


def _build(settings: Settings, report: Callable[[Build], None]) -> None:
    lake = Lake(settings.lake_dir)
    state = FeatureState.open(settings.online_location, FeaturePlan.load(settings.plan_path), lake=lake)
    try:
        if state.is_empty:
            state.bootstrap(lake, lambda share: report(Build(whole=True, share=share)))
        while state.building:
            state.build_step(lake)
            report(read_build(settings))
    finally:
        state.close()


def _has_worker(settings: Settings) -> bool:
    return workers_run(settings.run_dir) or read_stack(settings) is not None
