"""Feast's online store over the packed SQLite file that the stream worker keeps and the recommender reads."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from feast import FeatureStore
from feast.entity import Entity
from feast.feature_view import FeatureView
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Int64List, StringList, Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.type_map import feast_value_type_to_python_type
from pydantic import Field, field_validator

from tastemaker.clock import Clock, from_us, to_us
from tastemaker.errors import DataError
from tastemaker.features import database
from tastemaker.features.declarations import compile_store
from tastemaker.features.feast_paths import expanded
from tastemaker.features.keys import join_key
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reader import FeatureReader
from tastemaker.settings import Settings

__all__ = ["PackedOnlineStore", "PackedOnlineStoreConfig"]

_UPSERT = (
    "INSERT INTO online(view, key, event_us, rev, state) VALUES (?, ?, ?, ?, ?) ON CONFLICT (view, key) DO UPDATE SET"
    " event_us = excluded.event_us, rev = excluded.rev, state = excluded.state"
    " WHERE excluded.event_us >= online.event_us"
)


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """Options of the store.

    Attributes:
        path: the SQLite file.
        plan: the feature plan; `feast apply` writes it.
        clock_offset_us: see :class:`tastemaker.clock.Clock`.
    """

    type: str = "tastemaker.features.feast_online.PackedOnlineStore"
    path: str
    plan: str
    clock_offset_us: int = Field(default_factory=lambda: Settings.from_env().clock_offset_us)

    _expanded = field_validator("path", "plan")(expanded)


class PackedOnlineStore(OnlineStore):
    """Batch views are written through Feast; views with aggregations by the stream worker. Both are read here."""

    _reader: FeatureReader | None = None

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[tuple[EntityKey, dict[str, Value], datetime, datetime | None]],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows of a batch view; an older row never replaces a newer one.

        Raises:
            DataError: the view is kept up to date by the stream worker.
        """
        view = _plan(config).view(table.name)
        if view.kind != "batch":
            raise DataError(f"view {view.name} is kept up to date by the stream worker; only batch views are written")
        connection = database.connect_writer(_location(config))
        try:
            with database.transaction(connection):
                rev = database.next_rev(connection)
                connection.executemany(
                    _UPSERT,
                    [
                        (view.signature, _key(view, key), to_us(_utc(at)), rev, _pack(view, values))
                        for key, values, at, _created in data
                    ],
                )
        finally:
            connection.close()
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """The features as of now, declared defaults included; the time is that of the entity's newest event."""
        reader = self._open_reader(config)
        view = reader.plan.view(table.name)
        wanted = set(requested_features or view.feature_names)
        keys = [_ids(view, key) for key in entity_keys]
        rows = reader.rows(view.name, keys, Clock(config.online_store.clock_offset_us).now_us())
        times = reader.newest_us(view.name, keys)
        convert = {feature.name: _TO_PROTO[feature.dtype] for feature in view.features}
        return [
            (
                None if at is None else from_us(at),
                {name: convert[name](value) for name, value in row.items() if name in wanted},
            )
            for row, at in zip(rows, times, strict=True)
        ]

    def update(  # noqa: PLR0917 - Feast's interface
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Compile the registered declarations to the feature plan; this is the end of `feast apply`.

        Raises:
            DataError: a declaration cannot be executed; the old plan stays in force.
        """
        compile_store(FeatureStore(config=config)).save(Path(config.online_store.plan))
        self.teardown(config, tables_to_delete, entities_to_delete)

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Delete the rows of some views."""
        location = _location(config)
        if not tables or (isinstance(location, Path) and not location.exists()):
            return
        connection = database.connect_writer(location)
        try:
            with database.transaction(connection):
                connection.executemany(
                    "DELETE FROM online WHERE view >= ? AND view < ?",
                    [(f"{table.name}@", f"{table.name}A") for table in tables],  # "A" follows "@"
                )
        finally:
            connection.close()

    def _open_reader(self, config: RepoConfig) -> FeatureReader:
        plan = _plan(config)
        if self._reader is None or self._reader.plan.hash != plan.hash:
            self._reader = FeatureReader(_location(config), plan)
        return self._reader


def _location(config: RepoConfig) -> Path | str:
    path: str = config.online_store.path
    return path if path.startswith(database.MEMORY_PREFIX) else Path(path)


def _plan(config: RepoConfig) -> FeaturePlan:
    return FeaturePlan.load(Path(config.online_store.plan))


def _ids(view: ViewPlan, key: EntityKey) -> tuple[str, ...]:
    values = {name: value.string_val for name, value in zip(key.join_keys, key.entity_values, strict=True)}
    return tuple(values[column] for column in view.join_keys)


def _key(view: ViewPlan, key: EntityKey) -> str:
    return join_key(_ids(view, key))


def _utc(moment: datetime) -> datetime:
    """Feast hands over UTC without saying so."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _pack(view: ViewPlan, values: dict[str, Value]) -> bytes:
    return msgspec.msgpack.encode(
        [feast_value_type_to_python_type(values[name]) if name in values else None for name in view.feature_names]
    )


_TO_PROTO: dict[str, Callable[[Any], Value]] = {
    "int64": lambda value: Value(int64_val=value),
    "float64": lambda value: Value(double_val=value),
    "bool": lambda value: Value(bool_val=value),
    "string": lambda value: Value(string_val=value),
    "list[string]": lambda value: Value(string_list_val=StringList(val=value)),
    "list[int64]": lambda value: Value(int64_list_val=Int64List(val=value)),
}
