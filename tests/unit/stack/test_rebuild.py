"""Who builds: the worker where one lives, else whoever asks; and what is seen meanwhile."""

import fcntl
from pathlib import Path

import pytest

from tastemaker.errors import DataError, StackError
from tastemaker.features.stores.opening import open_online_store
from tastemaker.features.stores.view_ages import Progress, ViewAges
from tastemaker.features.streaming.state import FeatureState
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings
from tastemaker.stack.rebuild import Build, begin_rebuild, follow_build, pending_views, read_build
from tastemaker.stream.lock import worker_slot, workers_run, writer_lock
from tests.unit.features.audit_lake import PLAN, event, lake_with

USER, PAIR = PLAN.view("by_user").signature, PLAN.view("by_pair").signature


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    from datetime import timedelta

    made = Settings.from_env({}, home=tmp_path / "home", repository=tmp_path)
    lake_with(made.lake_dir, [event("one", timedelta(days=1))])
    PLAN.save(made.plan_path)
    return made


@pytest.fixture
def built(settings: Settings) -> Settings:
    state = FeatureState.open(settings.online_location, PLAN)
    state.bootstrap(Lake(settings.lake_dir))
    state.close()
    return settings


def ages(settings: Settings, wanted: ViewAges) -> None:
    store = open_online_store(settings.online_location)
    with store.transaction() as tx:
        wanted.write(tx)
    store.close()


def all_but(*signatures: str) -> tuple[str, ...]:
    return tuple(view.signature for view in PLAN.views if view.signature not in signatures)


def test_store_that_is_not_there_is_built_whole_and_tells_its_share(settings: Settings) -> None:
    assert begin_rebuild(settings) == Build(whole=True)
    seen: list[Build] = []
    follow_build(settings, seen.append)
    # One step for each of 5 views, one for the items and one for the event ids.
    assert [build.share for build in seen] == [0.0, *[n / 7 for n in range(1, 8)], 0.0]
    assert seen[-1].done
    assert pending_views(settings, PLAN) == ()


def test_progress_of_each_view_is_told_until_nothing_is_left(built: Settings) -> None:
    assert begin_rebuild(built, ["by_user", "by_pair"]).views == {"by_pair": Progress(), "by_user": Progress()}
    assert set(pending_views(built, PLAN)) == {"by_pair", "by_user"}
    seen: list[Build] = []
    follow_build(built, seen.append)
    assert [set(build.views) for build in seen] == [{"by_pair", "by_user"}, {"by_user"}, set(), set()]
    assert begin_rebuild(built).done


def test_asking_again_goes_on_and_begins_nothing_afresh(built: Settings) -> None:
    ages(built, ViewAges(all_but(USER), (USER,), {USER: Progress(2, 5)}))
    assert begin_rebuild(built, ["by_user"]).views == {"by_user": Progress(2, 5)}


def test_where_a_worker_lives_it_builds_and_this_only_looks(built: Settings) -> None:
    begin_rebuild(built, ["by_user"])
    steps = iter([ViewAges(all_but(USER), (USER,), {USER: Progress(1, 2)}), ViewAges(all_but(), ())])
    seen: list[Build] = []
    with worker_slot(built.run_dir), writer_lock(built.home, "the stream worker", shared=True):
        follow_build(built, seen.append, pause=lambda _: ages(built, next(steps)))
    assert [(dict(build.views), build.by_worker) for build in seen] == [
        ({"by_user": (0, 0)}, True),
        ({"by_user": (1, 2)}, True),
        ({}, True),
    ]


def test_work_of_a_worker_that_ended_is_taken_over(built: Settings) -> None:
    begin_rebuild(built, ["by_user"])
    worker = worker_slot(built.run_dir)
    worker.__enter__()
    follow_build(built, lambda _: None, pause=lambda _: worker.__exit__(None, None, None))
    assert read_build(built).done


def test_import_keeps_everybody_else_out(built: Settings) -> None:
    begin_rebuild(built, ["by_user"])
    with writer_lock(built.home, "a data import"), pytest.raises(StackError, match="a data import"):
        follow_build(built, lambda _: None)
    assert not read_build(built).done


def test_unknown_view_and_missing_lake_are_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no view 'nope'"):
        begin_rebuild(settings, ["nope"])
    elsewhere = Settings.from_env({}, home=tmp_path / "other")
    PLAN.save(elsewhere.plan_path)
    with pytest.raises(DataError, match="tastemaker data import"):
        begin_rebuild(elsewhere)


def test_worker_is_known_by_its_lock_not_by_what_it_left_behind(tmp_path: Path) -> None:
    assert not workers_run(tmp_path)
    with worker_slot(tmp_path) as first, worker_slot(tmp_path) as second:
        assert (first, second) == (0, 1)
        assert workers_run(tmp_path)
        with (tmp_path / "worker-0.lock").open("a") as file, pytest.raises(OSError, match="unavailable"):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert (tmp_path / "worker-0.lock").exists()
    assert not workers_run(tmp_path)
