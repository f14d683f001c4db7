"""Feast's offline store over the lake: windows as of each row by the SQL engine, batch views by an ASOF join."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores import offline_utils
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import RepoConfig
from feast.saved_dataset import SavedDatasetStorage
from pydantic import Field, field_validator

from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.features.declarations.compile import compile_view
from tastemaker.features.feast.paths import expanded
from tastemaker.features.narrow import narrowed
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.sql.columns import stored_columns
from tastemaker.features.sql.lake_queries import (
    AS_OF,
    FRAME,
    ROW,
    AskedView,
    NewestQuery,
    TrainingQuery,
    newest_rows,
    training_rows,
)
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings

__all__ = ["AsofOfflineStore", "AsofOfflineStoreConfig", "LakeRetrievalJob"]


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Options of the store.

    Attributes:
        lake: root of the lake.
        processing_delay_seconds: how much older than a row's time its features are, to train on what serving would
            have seen when events take that long to arrive in the online store.
    """

    type: str = "tastemaker.features.feast.offline.AsofOfflineStore"
    lake: str
    processing_delay_seconds: float = Field(default_factory=lambda: Settings.from_env().processing_delay_seconds, ge=0)

    _expanded = field_validator("lake")(expanded)


class LakeRetrievalJob(RetrievalJob):
    """A query over the lake that runs when its result is asked for."""

    def __init__(
        self,
        query: Callable[[], pa.Table],
        metadata: RetrievalMetadata | None = None,
        on_demand: list[OnDemandFeatureView] | None = None,
        full_feature_names: bool = False,
    ) -> None:
        self._query = query
        self._metadata = metadata
        self._on_demand = on_demand or []
        self._full_feature_names = full_feature_names

    @property
    def full_feature_names(self) -> bool:
        """Whether columns are called ``view__feature``."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """Views that are derived from the result."""
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata | None:
        """What was asked for."""
        return self._metadata

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return self._query()

    def persist(self, storage: SavedDatasetStorage, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        """Write the result to a Parquet file.

        Raises:
            DataError: another kind of storage, or the file exists and may not be overwritten.
        """
        if not isinstance(storage, SavedDatasetFileStorage):
            raise DataError(f"saved data sets are Parquet files; {type(storage).__name__} is not supported")
        path = Path(storage.file_options.uri)
        if path.exists() and not allow_overwrite:
            raise DataError(f"{path} exists; pass allow_overwrite to replace it")
        pa.parquet.write_table(self.to_arrow(), path)


class AsofOfflineStore(DuckDBOfflineStore):
    """Point-in-time correct features for training sets, and the newest rows for materialisation."""

    @classmethod
    def get_historical_features(  # noqa: PLR0917 - Feast's interface
        cls,
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        """The features of each row of ``entity_df`` as the online store would have given them at its time.

        Raises:
            DataError: ``entity_df`` is no frame, lacks the ids of a view, or has a column that is called as a feature.
        """
        if not isinstance(entity_df, pd.DataFrame):
            raise DataError("get_historical_features takes a pandas DataFrame of entity keys and event_timestamp")
        time = offline_utils.infer_event_timestamp_from_entity_df(dict(entity_df.dtypes.items()))
        moments = pd.to_datetime(entity_df[time], utc=True)
        delay_us = timedelta(seconds=config.offline_store.processing_delay_seconds) // timedelta(microseconds=1)
        entity_names = {entity.name: entity.join_key for entity in registry.list_entities(project)}
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        references = tuple(dict.fromkeys([*feature_refs, *_inputs(on_demand)]))
        views = tuple(_asked(view, compile_view(view, entity_names), references) for view in feature_views)
        _check_frame(set(entity_df.columns), views, full_feature_names)

        def frame() -> pa.Table:
            rows = pa.Table.from_pandas(entity_df.assign(**{time: moments}), preserve_index=False)
            rows = rows.append_column(ROW, pa.array(range(len(rows)), pa.int64()))
            as_of_us = moments.dt.as_unit("us").astype("int64").to_numpy() - delay_us
            return rows.append_column(AS_OF, pa.array(as_of_us))

        return cls._training_job(
            config,
            frame,
            TrainingQuery(
                views=views,
                references=references,
                full_feature_names=full_feature_names,
                known_at=filter_by_created_timestamp,
            ),
            RetrievalMetadata(
                features=feature_refs,
                keys=[column for column in entity_df.columns if column != time],
                min_event_timestamp=moments.min().to_pydatetime() if len(moments) else None,
                max_event_timestamp=moments.max().to_pydatetime() if len(moments) else None,
            ),
            on_demand,
        )

    @classmethod
    def pull_latest_from_table_or_query(  # noqa: PLR0917 - Feast's interface
        cls,
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """The newest row per entity between two moments, both inclusive.

        Raises:
            DataError: the source has no such columns, because the view is computed by the stream worker.
        """
        table = Path(data_source.path).name
        return cls._newest_job(
            config,
            NewestQuery(
                table=table,
                join_keys=tuple(join_key_columns),
                columns=tuple(feature_name_columns),
                timestamp_field=timestamp_field,
                created_field=created_timestamp_column or "",
                start_us=to_us(start_date),
                end_us=to_us(end_date),
                expressions=_expressions(config, table, feature_name_columns),
            ),
        )

    @classmethod
    def _training_job(
        cls,
        config: RepoConfig,
        frame: Callable[[], pa.Table],
        query: TrainingQuery,
        metadata: RetrievalMetadata,
        on_demand: list[OnDemandFeatureView],
    ) -> RetrievalJob:
        """How a training set is computed; another engine overrides it."""

        def rows() -> pa.Table:
            with Lake(Path(config.offline_store.lake)).connect() as duck:
                duck.register(FRAME, frame())
                return training_rows(duck, query).drop_columns(ROW)

        return LakeRetrievalJob(rows, metadata, on_demand, query.full_feature_names)

    @classmethod
    def _newest_job(cls, config: RepoConfig, query: NewestQuery) -> RetrievalJob:
        """How the newest rows are computed; another engine overrides it."""

        def rows() -> pa.Table:
            with Lake(Path(config.offline_store.lake)).connect() as duck:
                return newest_rows(duck, query)

        return LakeRetrievalJob(rows)


def _expressions(config: RepoConfig, table: str, features: list[str]) -> tuple[str, ...]:
    """What the online store keeps of each feature of a batch view; the features themselves where no view has them."""
    plan = FeaturePlan.load(Path(config.online_store.plan))
    kept = {
        feature.name: expression
        for view in plan.views
        if view.kind == "batch" and view.table == table
        for feature, expression in zip(view.features, stored_columns(view), strict=True)
    }
    return tuple(kept.get(name, name) for name in features) if kept.keys() & set(features) else ()


def _inputs(on_demand: list[OnDemandFeatureView]) -> list[str]:
    """References to the stored features that on-demand views take."""
    return [
        f"{projection.name_to_use()}:{feature.name}"
        for view in on_demand
        for projection in view.source_feature_view_projections.values()
        for feature in projection.features
    ]


def _check_frame(columns: set[str], views: Collection[AskedView], full_feature_names: bool) -> None:
    for view in views:
        if missing := [column for column in view.key_columns if column not in columns]:
            raise DataError(
                f"the rows to join have no column {missing[0]}, by which view {view.alias} is joined; add it"
            )
        names = [f"{view.alias}__{name}" if full_feature_names else name for name in view.plan.feature_names]
        if taken := [name for name in names if name in columns]:
            raise DataError(
                f"the rows to join have a column {taken[0]}, as view {view.alias} has a feature; rename the column"
                + ("" if full_feature_names else ", or ask with full_feature_names=True")
            )


def _asked(view: FeatureView, plan: ViewPlan, references: Collection[str]) -> AskedView:
    mapping = view.projection.join_key_map or {}
    alias = view.projection.name_to_use()
    return AskedView(
        plan=narrowed(plan, [name for name in plan.feature_names if f"{alias}:{name}" in references]),
        key_columns=tuple(mapping.get(column, column) for column in plan.join_keys),
        alias=alias,
    )
