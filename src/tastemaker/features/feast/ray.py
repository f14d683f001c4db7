"""Feast's offline store and compute engine on a Ray cluster: the values of the local ones, computed by many machines.

Feast's own Ray engine executes neither our aggregations nor an as-of join that reads a view's newest events, drops rows
by the machine's clock rather than the platform's, and reports a failed write to the online store as success. Taken
from it are its interfaces, its options and its way to a cluster.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from feast import utils as feast_utils
from feast.feature_view import FeatureView
from feast.infra.common.materialization_job import MaterializationJob, MaterializationJobStatus, MaterializationTask
from feast.infra.common.serde import SerializedArtifacts
from feast.infra.compute_engines.ray.compute import RayComputeEngine
from feast.infra.compute_engines.ray.config import RayComputeEngineConfig
from feast.infra.compute_engines.ray.feature_builder import RayFeatureBuilder
from feast.infra.compute_engines.ray.job import RayMaterializationJob
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import RepoConfig
from pydantic import Field

from tastemaker.errors import DataError
from tastemaker.features.feast.offline import AsofOfflineStore, AsofOfflineStoreConfig, LakeRetrievalJob
from tastemaker.features.feast.ray_cluster import Cluster, Ref
from tastemaker.features.feast.ray_shuffle import Shuffle
from tastemaker.features.sql.lake_queries import NewestQuery, TrainingQuery

__all__ = [
    "RayAsofComputeEngine",
    "RayAsofComputeEngineConfig",
    "RayAsofOfflineStore",
    "RayAsofOfflineStoreConfig",
    "RayRetrievalJob",
]


class RayAsofOfflineStoreConfig(AsofOfflineStoreConfig):
    """Options of the store; all but ``partition_rows`` are those of Feast's Ray offline store.

    Attributes:
        partition_rows: rows of the lake's table and of the entity frame, together, that a task may hold. It bounds a
            task's memory, and an entity with more events than that is still one task's work.
        ray_address: of a running cluster; by default ``RAY_ADDRESS``, else a cluster on this machine.
        ray_conf: arguments of ``ray.init``, such as ``num_cpus`` and ``object_store_memory`` of a local cluster.
        worker_task_options: resources of each task, such as ``num_cpus`` and ``memory``; DuckDB keeps within them.
        enable_ray_logging: whether Ray writes its log to the terminal.
        use_kuberay: whether the cluster runs under KubeRay.
        kuberay_conf: how to find it.
    """

    type: str = "tastemaker.features.feast.ray.RayAsofOfflineStore"
    partition_rows: int = Field(5_000_000, ge=1)
    ray_address: str | None = None
    ray_conf: dict[str, Any] | None = None
    worker_task_options: dict[str, Any] | None = None
    enable_ray_logging: bool = False
    use_kuberay: bool | None = None
    kuberay_conf: dict[str, Any] | None = None


class RayRetrievalJob(LakeRetrievalJob):
    """A query that a cluster computes when its result is asked for; the result stays there until it is fetched.

    Args:
        cluster: where it runs.
        start: submits the query and gives the blocks of its result.
        metadata: what was asked for.
        on_demand: views that are derived from the result.
        full_feature_names: whether columns are called ``view__feature``.
    """

    def __init__(
        self,
        cluster: Callable[[], Cluster],
        start: Callable[[Cluster], list[Ref]],
        metadata: RetrievalMetadata | None = None,
        on_demand: list[OnDemandFeatureView] | None = None,
        full_feature_names: bool = False,
    ) -> None:
        super().__init__(
            lambda: pa.concat_tables(self.cluster.collect(self.blocks())), metadata, on_demand, full_feature_names
        )
        self._connect = cluster
        self._start = start
        self._cluster: Cluster | None = None
        self._blocks: list[Ref] | None = None

    @property
    def cluster(self) -> Cluster:
        """Where it runs; connected to on first use."""
        self._cluster = self._cluster or self._connect()
        return self._cluster

    def blocks(self) -> list[Ref]:
        """Arrow tables in the cluster that make up the result in order, without on-demand features."""
        if self._blocks is None:
            self._blocks = self._start(self.cluster)
        return self._blocks

    def to_ray_dataset(self) -> Any:
        """The result, on-demand features included, as a ``ray.data.Dataset``: training sets larger than this machine.

        Its rows never pass through this process: write them with ``write_parquet``, or read batches of them.
        """
        blocks = self.blocks()
        if self.on_demand_feature_views:
            rest = (self.metadata, self.on_demand_feature_views, self.full_feature_names)
            blocks = [self.cluster.submit(_derived, block, *rest) for block in blocks]
        return self.cluster.dataset(blocks)


class RayAsofOfflineStore(AsofOfflineStore):
    """The lake's features, computed by a cluster."""

    @classmethod
    def _training_job(
        cls,
        config: RepoConfig,
        frame: Callable[[], pa.Table],
        query: TrainingQuery,
        metadata: RetrievalMetadata,
        on_demand: list[OnDemandFeatureView],
    ) -> RetrievalJob:
        return RayRetrievalJob(
            lambda: Cluster(config.offline_store),
            lambda cluster: _shuffle(config, cluster).training_blocks(frame(), query),
            metadata,
            on_demand,
            query.full_feature_names,
        )

    @classmethod
    def _newest_job(cls, config: RepoConfig, query: NewestQuery) -> RetrievalJob:
        return RayRetrievalJob(
            lambda: Cluster(config.offline_store),
            lambda cluster: _shuffle(config, cluster).newest_blocks(query),
        )


class RayAsofComputeEngineConfig(RayComputeEngineConfig):
    """Options of the engine, those of Feast's Ray engine.

    The cluster and the tasks' resources are the offline store's; of these options, ``write_concurrency`` says how many
    workers write to the online store at the same time. More than one is for stores that many machines reach, such as
    Redis; with one, this process writes.
    """

    type: str = "tastemaker.features.feast.ray.RayAsofComputeEngine"


class RayAsofComputeEngine(RayComputeEngine):
    """Materialises batch views: the newest row per entity from the cluster, into the online store."""

    def _ensure_ray_initialized(self) -> None:
        """Not yet: `feast apply` builds an engine too, and needs no cluster."""

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, from_offline_store: bool = False, **kwargs: Any
    ) -> MaterializationJob:
        view = task.feature_view
        job_id = f"{view.name}-{task.start_time}-{task.end_time}"
        try:
            columns = RayFeatureBuilder(registry, view, task, self.config).get_column_info(view)
            job = self.offline_store.pull_latest_from_table_or_query(
                config=self.repo_config,
                data_source=view.batch_source,
                join_key_columns=columns.join_keys,
                feature_name_columns=columns.feature_cols,
                timestamp_field=columns.timestamp_column,
                created_timestamp_column=columns.created_timestamp_column,
                start_date=task.start_time,
                end_date=task.end_time,
            )
            if not isinstance(job, RayRetrievalJob):
                raise DataError(
                    f"batch_engine {self.config.type} reads from the offline store"
                    " tastemaker.features.feast.ray.RayAsofOfflineStore; set offline_store.type to it"
                )
            if view.online:
                self._write(job, view)
        except Exception as error:
            return RayMaterializationJob(job_id=job_id, status=MaterializationJobStatus.ERROR, error=error)
        return RayMaterializationJob(job_id=job_id, status=MaterializationJobStatus.SUCCEEDED)

    def _write(self, job: RayRetrievalJob, view: FeatureView) -> None:
        at_once = self.config.write_concurrency or self.config.max_workers or 1
        if at_once == 1:
            for block in job.blocks():  # one at a time: this process holds no more than that
                _write_block(job.cluster.collect([block])[0], view, self.online_store, self.repo_config)
            return
        artifacts = SerializedArtifacts.serialize(view, self.repo_config)
        running: list[Ref] = []
        for block in job.blocks():
            if len(running) == at_once:
                done, running = job.cluster.wait_for_one(running)
                job.cluster.collect(done)
            running.append(job.cluster.submit(_write_remotely, artifacts, block))
        job.cluster.collect(running)


def _shuffle(config: RepoConfig, cluster: Cluster) -> Shuffle:
    return Shuffle(cluster, Path(config.offline_store.lake), config.offline_store.partition_rows)


def _derived(
    block: pa.Table, metadata: RetrievalMetadata | None, on_demand: list[OnDemandFeatureView], full_feature_names: bool
) -> pa.Table:
    return LakeRetrievalJob(lambda: block, metadata, on_demand, full_feature_names).to_arrow()


def _write_remotely(artifacts: SerializedArtifacts, rows: pa.Table) -> None:
    view, online_store, _, config = artifacts.unserialize()
    _write_block(rows, view, online_store, config)


def _write_block(rows: pa.Table, view: FeatureView, online_store: OnlineStore, config: RepoConfig) -> None:
    """Write rows; unlike Feast's own helper of that purpose, fail when the store fails."""
    types = {entity.name: entity.dtype.to_value_type() for entity in view.entity_columns}
    for batch in rows.to_batches(max_chunksize=config.materialization_config.online_write_batch_size):
        # Not public, but what every engine of Feast converts with.
        values = feast_utils._convert_arrow_to_proto(batch, view, types)
        online_store.online_write_batch(config, view, values, None)
