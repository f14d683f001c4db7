"""Feast's online store over the packed rows that the stream worker keeps and the recommender reads."""

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
from feast.protos.feast.types.Value_pb2 import DoubleList, Int64List, StringList, Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.type_map import feast_value_type_to_python_type
from pydantic import Field, field_validator

from tastemaker.clock import Clock, from_us, to_us
from tastemaker.errors import DataError
from tastemaker.features.declarations.columns import AGE
from tastemaker.features.declarations.compile import compile_store
from tastemaker.features.feast.paths import expanded
from tastemaker.features.keys import join_key
from tastemaker.features.plan import FeaturePlan, ViewPlan
from tastemaker.features.reading.reader import FeatureReader
from tastemaker.features.stores.opening import open_online_store
from tastemaker.settings import Settings

__all__ = ["PackedOnlineStore", "PackedOnlineStoreConfig"]


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """Options of the store.

    Attributes:
        plan: the feature plan; `feast apply` writes it.
        location: of the store, as :func:`tastemaker.features.stores.opening.open_online_store` takes it; by default
            what ``TASTEMAKER_ONLINE_STORE`` says, else an SQLite file in the home.
        clock_offset_us: see :class:`tastemaker.clock.Clock`.
    """

    type: str = "tastemaker.features.feast.online.PackedOnlineStore"
    plan: str
    location: str = Field(default_factory=lambda: str(Settings.from_env().online_location))
    clock_offset_us: int = Field(default_factory=lambda: Settings.from_env().clock_offset_us)

    _expanded = field_validator("location", "plan")(expanded)


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
        store = open_online_store(_location(config))
        try:
            with store.transaction() as transaction:
                transaction.put_newer(
                    view.signature,
                    [join_key(_ids(view, key)) for key, _, _, _ in data],
                    [to_us(_utc(at)) for _, _, at, _ in data],
                    [_pack(view, values) for _, values, _, _ in data],
                )
        finally:
            store.close()
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
        wanted = [name for name in view.feature_names if requested_features is None or name in requested_features]
        keys = [_ids(view, key) for key in entity_keys]
        now_us = Clock(config.online_store.clock_offset_us).now_us()
        convert = {name: _TO_PROTO[view.feature(name).dtype] for name in wanted}
        return [
            (None if at is None else from_us(at), {name: convert[name](value) for name, value in row.items()})
            for row, at in reader.rows_and_times(view.name, keys, now_us, wanted)
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
        gone = {table.name for table in tables}
        store = open_online_store(location)
        try:
            with store.transaction() as transaction:
                known = [transaction.get_meta(f"{age}_views") or "" for age in ("current", "former")]
                for signature in " ".join(known).split():
                    if signature.partition("@")[0] in gone:
                        transaction.drop_view(signature)
        finally:
            store.close()

    def _open_reader(self, config: RepoConfig) -> FeatureReader:
        plan = _plan(config)
        if self._reader is None or self._reader.plan.hash != plan.hash:
            self._reader = FeatureReader(_location(config), plan)
        return self._reader


def _location(config: RepoConfig) -> Path | str:
    location: str = config.online_store.location
    return location if ":" in location else Path(location)


def _plan(config: RepoConfig) -> FeaturePlan:
    return FeaturePlan.load(Path(config.online_store.plan))


def _ids(view: ViewPlan, key: EntityKey) -> tuple[str, ...]:
    values = {name: value.string_val for name, value in zip(key.join_keys, key.entity_values, strict=True)}
    return tuple(values[column] for column in view.join_keys)


def _utc(moment: datetime) -> datetime:
    """Feast hands over UTC without saying so."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _pack(view: ViewPlan, values: dict[str, Value]) -> bytes:
    columns = []
    for feature in view.features:
        value = feast_value_type_to_python_type(values[feature.name]) if feature.name in values else None
        # Of an age, the time is stored: a whole number of microseconds, which passes through Feast as a double.
        columns.append(int(value) if value is not None and feature.function == AGE else value)
    return msgspec.msgpack.encode(columns)


_TO_PROTO: dict[str, Callable[[Any], Value]] = {
    "int64": lambda value: Value(int64_val=value),
    "float64": lambda value: Value(double_val=value),
    "bool": lambda value: Value(bool_val=value),
    "string": lambda value: Value(string_val=value),
    "list[string]": lambda value: Value(string_list_val=StringList(val=value)),
    "list[int64]": lambda value: Value(int64_list_val=Int64List(val=value)),
    "list[float64]": lambda value: Value(double_list_val=DoubleList(val=value)),
}
