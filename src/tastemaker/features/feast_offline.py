"""Feast's offline store over the lake: windows as of each row by the SQL engine, batch views by an ASOF join."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
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
from pydantic import field_validator

from tastemaker import names
from tastemaker.clock import to_us
from tastemaker.errors import DataError
from tastemaker.features.declarations import compile_view
from tastemaker.features.expressions import key_sql
from tastemaker.features.feast_paths import expanded
from tastemaker.features.sql import as_of, default_sql
from tastemaker.lake.tables import Lake

__all__ = ["AsofOfflineStore", "AsofOfflineStoreConfig", "LakeRetrievalJob"]

_ROW, _AS_OF = "__row", "__as_of_us"


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Options of the store.

    Attributes:
        lake: root of the lake.
        processing_delay_seconds: how much older than a row's time its features are, to train on what serving would
            have seen when events take that long to arrive in the online store.
    """

    type: str = "tastemaker.features.feast_offline.AsofOfflineStore"
    lake: str
    processing_delay_seconds: float = 0.0

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

    @staticmethod
    def get_historical_features(  # noqa: PLR0917 - Feast's interface
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        """The features of each row of ``entity_df`` as the online store would have given them at its time."""
        if not isinstance(entity_df, pd.DataFrame):
            raise DataError("get_historical_features takes a pandas DataFrame of entity keys and event_timestamp")
        time = offline_utils.infer_event_timestamp_from_entity_df(dict(entity_df.dtypes.items()))
        moments = pd.to_datetime(entity_df[time], utc=True)
        delay_us = timedelta(seconds=config.offline_store.processing_delay_seconds) // timedelta(microseconds=1)
        entity_names = {entity.name: entity.join_key for entity in registry.list_entities(project)}

        def query() -> pa.Table:
            frame = pa.Table.from_pandas(entity_df.assign(**{time: moments}), preserve_index=False)
            frame = frame.append_column(_ROW, pa.array(range(len(frame)), pa.int64()))
            as_of_us = moments.dt.as_unit("us").astype("int64").to_numpy() - delay_us
            frame = frame.append_column(_AS_OF, pa.array(as_of_us))
            with Lake(Path(config.offline_store.lake)).connect() as duck:
                duck.register("frame", frame)
                return _join(
                    duck,
                    feature_views,
                    feature_refs,
                    entity_names,
                    full_feature_names=full_feature_names,
                    known_at=filter_by_created_timestamp,
                )

        return LakeRetrievalJob(
            query,
            RetrievalMetadata(
                features=feature_refs,
                keys=[column for column in entity_df.columns if column != time],
                min_event_timestamp=moments.min().to_pydatetime() if len(moments) else None,
                max_event_timestamp=moments.max().to_pydatetime() if len(moments) else None,
            ),
            OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
            full_feature_names,
        )

    @staticmethod
    def pull_latest_from_table_or_query(  # noqa: PLR0917 - Feast's interface
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
        lake = Lake(Path(config.offline_store.lake))
        table = Path(data_source.path).name
        columns = [*join_key_columns, *feature_name_columns, timestamp_field]
        columns += [created_timestamp_column] if created_timestamp_column else []

        def query() -> pa.Table:
            with lake.connect() as duck:
                known = {row[0] for row in duck.execute(f"DESCRIBE {table}").fetchall()}
                if missing := [column for column in columns if column not in known]:
                    raise DataError(
                        f"{table} has no column {missing[0]}: a view with aggregations is kept up to date by the"
                        " stream worker; materialise batch views only (tastemaker features materialize)"
                    )
                order = [timestamp_field, created_timestamp_column, names.OFFSET if names.OFFSET in known else None]
                return duck.sql(
                    f"SELECT {', '.join(columns)} FROM {table} WHERE epoch_us({timestamp_field})"
                    f" BETWEEN {to_us(start_date)} AND {to_us(end_date)} QUALIFY row_number() OVER"
                    f" (PARTITION BY {', '.join(join_key_columns)}"
                    f" ORDER BY {', '.join(f'{column} DESC' for column in order if column)}) = 1"
                ).to_arrow_table()

        return LakeRetrievalJob(query)


def _join(
    duck: duckdb.DuckDBPyConnection,
    feature_views: list[FeatureView],
    feature_refs: list[str],
    entity_names: dict[str, str],
    *,
    full_feature_names: bool,
    known_at: bool,
) -> pa.Table:
    """The frame with the asked features of every view."""
    joins: list[str] = []
    columns: dict[str, str] = {}
    for number, feature_view in enumerate(feature_views):
        plan = compile_view(feature_view, entity_names)
        mapping = feature_view.projection.join_key_map or {}
        key = key_sql(f'CAST("{mapping.get(column, column)}" AS VARCHAR)' for column in plan.join_keys)
        duck.execute(f"CREATE TEMP TABLE keys_{number} AS SELECT {_ROW}, {key} AS key, {_AS_OF} AS as_of_us FROM frame")
        as_of(duck, plan, f"keys_{number}", f"answers_{number}", known_at)
        alias = feature_view.projection.name_to_use()
        for feature in plan.features:
            column = f"{alias}__{feature.name}" if full_feature_names else feature.name
            value = f"coalesce(a{number}.{feature.name}, {default_sql(feature)})"
            columns[f"{alias}:{feature.name}"] = f'{value} AS "{column}"'
        joins.append(
            f"JOIN keys_{number} AS k{number} ON f.{_ROW} = k{number}.{_ROW}"
            f" LEFT JOIN answers_{number} AS a{number} ON a{number}.key = k{number}.key"
            f" AND a{number}.as_of_us = k{number}.as_of_us"
        )
    selects = [columns[reference] for reference in feature_refs if reference in columns]
    return duck.sql(
        f"SELECT {', '.join([f'f.* EXCLUDE ({_ROW}, {_AS_OF})', *selects])} FROM frame AS f {' '.join(joins)}"
        f" ORDER BY f.{_ROW}"
    ).to_arrow_table()
