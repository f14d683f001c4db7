"""The Ray engine gives what the local one gives, cell by cell: the shipped declarations on a real local cluster."""

import importlib.util
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import psutil
import pyarrow as pa
import pytest
import yaml
from feature_histories import NOW_US, same
from scale_out_world import EVENTS, ITEMS, World, entity_frame, events

from tastemaker import names
from tastemaker.clock import from_us
from tastemaker.errors import DataError
from tastemaker.features.feast.ray_cluster import Cluster, prepare_environment
from tastemaker.features.feast.ray_tasks import Deal, Part, Source, bucketed, deal
from tastemaker.features.plan import FeaturePlan
from tastemaker.features.repository import materialize, open_store, training_frame
from tastemaker.lake.tables import Lake

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed; make setup installs it"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="ray-") as ray_home:  # a short path: Ray keeps sockets below it
        yield World(tmp_path_factory.mktemp("platform"), ray_home)
        from feast.infra.ray_initializer import shutdown_ray

        shutdown_ray()


def assert_equal(found: pa.Table, expected: pa.Table) -> None:
    assert found.schema.equals(expected.schema)
    for name in expected.column_names:
        for place, (left, right) in enumerate(zip(found[name].to_pylist(), expected[name].to_pylist(), strict=True)):
            assert same(left, right), (name, place, left, right)


def test_a_training_set_of_all_features_equals_the_local_one(world: World) -> None:
    frame = entity_frame(1000)
    expected = training_frame(world.local, frame, names.SERVICE_ALL)
    found = training_frame(world.ray, frame, names.SERVICE_ALL)
    assert_equal(found, expected)
    # Not all defaults: the comparison is about something.
    different = {name: len(set(map(str, found[name].to_pylist()))) for name in found.column_names[len(frame.columns) :]}
    assert len(different) > 50
    assert sum(count > 1 for count in different.values()) > len(different) * 0.8, different


def test_a_delay_full_names_and_ids_that_are_numbers_are_the_same_too(world: World) -> None:
    frame = entity_frame(50)
    frame["user_id"] = 17
    answers = []
    for settings in (world.local, world.ray):
        store = open_store(settings, processing_delay_seconds=86_400.0)
        service = store.get_feature_service(names.SERVICE_RANKING)
        answers.append(store.get_historical_features(frame, service, full_feature_names=True).to_arrow())
    assert_equal(*answers)
    assert {name for name in answers[0].column_names if name.startswith(f"{names.VIEW_USER_ACTIVITY}__")}


def test_an_empty_frame_gives_an_empty_training_set(world: World) -> None:
    frame = entity_frame(3).iloc[:0]
    frame = frame.assign(event_timestamp=pd.to_datetime(frame["event_timestamp"], utc=True))
    expected = training_frame(world.local, frame, names.SERVICE_RANKING)
    found = training_frame(world.ray, frame, names.SERVICE_RANKING)
    assert len(found) == 0
    assert found.column_names == expected.column_names


def test_a_training_set_can_stay_in_the_cluster(world: World) -> None:
    frame = entity_frame(3000)
    store = open_store(world.ray)
    job = store.get_historical_features(frame, store.get_feature_service(names.SERVICE_RANKING))
    dataset = job.to_ray_dataset()
    assert dataset.num_blocks() == 2  # 3000 rows, at most 2500 each
    assert_equal(pa.concat_tables(dataset.iter_batches(batch_size=1000, batch_format="pyarrow")), job.to_arrow())


@pytest.mark.parametrize("write_concurrency", [1, 2])
def test_materialised_rows_equal_the_local_ones(world: World, write_concurrency: int) -> None:
    end = from_us(NOW_US) - timedelta(days=30)  # later versions stay out
    batch = [view.name for view in world.plan.views if view.kind == "batch"]
    overlay = world.local.repository / "feature_repo" / "feature_store.ray.yaml"
    options = yaml.safe_load(overlay.read_text())
    options["batch_engine"]["write_concurrency"] = write_concurrency
    options["offline_store"]["partition_rows"] = 80  # of about 150 versions of items
    before = overlay.read_text()
    overlay.write_text(yaml.safe_dump(options))
    try:
        assert list(materialize(world.local, end)) == batch
        expected = world.online_rows()
        world.forget_online()
        assert list(materialize(world.ray, end)) == batch
    finally:
        overlay.write_text(before)
    assert len(expected) > len(ITEMS) // 2
    assert world.online_rows() == expected


def test_a_failed_write_fails_the_materialisation(world: World, tmp_path: Path) -> None:
    # Feast's own Ray engine logs it and reports success.
    store = open_store(world.ray)
    (tmp_path / "taken").mkdir()
    store.config.online_store.location = str(tmp_path / "taken")
    view = next(view for view in world.plan.views if view.kind == "batch")
    with pytest.raises((DataError, sqlite3.Error), match=r"taken|unable to open"):
        store.materialize(from_us(0), from_us(NOW_US), feature_views=[view.name])


def test_an_error_in_a_worker_arrives_as_itself_and_a_dead_worker_as_a_remedy(world: World) -> None:
    options = open_store(world.ray).config.offline_store
    cluster = Cluster(options)
    source = Source(str(world.local.lake_dir), names.TABLE_EVENTS, version=0, buckets=2, duckdb_version="0.1")
    with pytest.raises(DataError, match=r"^a worker has DuckDB [\d.]+ and the driver 0.1"):
        cluster.collect([cluster.submit(bucketed, source, Deal(("user_id",)), Part(0, 1))])
    options.worker_task_options = {"max_retries": 0}
    cluster = Cluster(options)
    with pytest.raises(DataError, match=r"lower offline_store\.partition_rows"):
        cluster.collect([cluster.submit_split(os._exit, 1, 1)[0]])


def test_a_cluster_on_this_machine_is_reachable_from_this_machine_only(world: World) -> None:
    cluster = Cluster(open_store(world.ray).config.offline_store)
    cluster.collect([cluster.submit(deal, pa.table({"bucket": [0]}), 1)])  # a worker is there
    listening = [
        connection.laddr.ip
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]
        for connection in process.connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4  # control service, node daemon, its agent, a worker
    assert set(listening) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def test_a_remote_cluster_keeps_its_own_environment() -> None:
    local: dict[str, str] = {}
    prepare_environment({}, local)
    assert local.keys() >= {"RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_USAGE_STATS_ENABLED"}
    for options, before in [
        ({"ray_address": "head:6379"}, {}),
        ({"use_kuberay": True}, {}),
        ({}, {"RAY_ADDRESS": "head:6379"}),
    ]:
        remote = dict(before)
        prepare_environment(options, remote)
        assert remote == before | {"RAY_USAGE_STATS_ENABLED": "0"}
    chosen = {"RAY_AUTH_TOKEN_PATH": "/secrets/ray", "RAY_USAGE_STATS_ENABLED": "1"}
    prepare_environment({}, chosen)
    assert "RAY_AUTH_TOKEN" not in chosen
    assert chosen["RAY_USAGE_STATS_ENABLED"] == "1"


def test_a_cluster_that_does_not_start_gets_a_second_try_and_then_a_remedy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = open_store(world.ray).config.offline_store
    import ray  # after the environment is prepared
    from feast.infra import ray_initializer

    start, tries = ray_initializer.ensure_ray_initialized, []

    def fail(times: int) -> None:
        def started(*given: Any, **more: Any) -> None:
            tries.append(times)
            if len(tries) <= times:
                raise Exception("The current node timed out during startup.")
            start(*given, **more)

        monkeypatch.setattr(ray_initializer, "ensure_ray_initialized", started)

    monkeypatch.setattr(ray, "shutdown", lambda: None)  # the other tests' cluster goes on
    fail(times=1)
    Cluster(options)
    assert len(tries) == 2
    tries.clear()
    fail(times=2)
    with pytest.raises(DataError, match=r"timed out .* or set TASTEMAKER_FEATURES_ENGINE=local"):
        Cluster(options)


def test_a_bucket_has_all_rows_of_its_entities_and_each_row_once(world: World) -> None:
    version = Lake(world.local.lake_dir).open(names.TABLE_EVENTS).version()
    source = Source(str(world.local.lake_dir), names.TABLE_EVENTS, version, buckets=5)
    parts = [bucketed(source, Deal(("user_id", "item_id")), Part(number, 4)) for number in range(4)]
    buckets = [pa.concat_tables([part[number] for part in parts]) for number in range(5)]
    corrections = {event.event_id for event in events() if event.corrects}
    ids = [set(bucket["event_id"].to_pylist()) for bucket in buckets]
    assert all(corrections <= found for found in ids)
    owned = [found - corrections for found in ids]
    assert sum(map(len, owned)) == EVENTS - len(corrections)
    keys = [
        {
            (row["user_id"], row["item_id"])
            for row in bucket.select(["event_id", "user_id", "item_id"]).to_pylist()
            if row["event_id"] not in corrections
        }
        for bucket in buckets
    ]
    assert min(map(len, keys)) > 100
    assert len(set().union(*keys)) == sum(map(len, keys))


def test_dealing_nothing_gives_empty_buckets_of_the_same_columns() -> None:
    rows = duckdb.sql("SELECT 'a' AS key, CAST(0 AS INTEGER) AS bucket WHERE false").to_arrow_table()
    assert [bucket.schema.names for bucket in deal(rows, 3)] == [["key"]] * 3
    assert [len(bucket) for bucket in deal(rows, 3)] == [0, 0, 0]


def test_declarations_are_the_same_for_both_engines(world: World) -> None:
    assert open_store(world.ray).config.offline_store.lake == open_store(world.local).config.offline_store.lake
    assert FeaturePlan.load(world.ray.plan_path).hash == world.plan.hash


def test_an_engine_that_is_not_installed_is_named_with_its_extra(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"install tastemaker\[ray\], or set it to local"):
        open_store(world.ray)
