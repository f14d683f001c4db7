"""Feast's SDK over an online store of its own, and over the packed one: what the benchmark of reading compares with."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from benchmarks.reading_data import declared, entity
from tastemaker.clock import from_us
from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan, FeatureSpec, ViewPlan

if TYPE_CHECKING:
    from feast import FeatureStore

__all__ = ["over_packed_store", "over_stock_store", "write_stock"]


def over_stock_store(directory: Path, view: ViewPlan, online_store: dict[str, Any]) -> "FeatureStore":
    """Feast with an online store of its own, and a plain view with the features of ``view``, still without rows.

    Args:
        directory: for its registry; is made.
        view: numeric, of users.
        online_store: its options.
    """
    from feast import FeatureView, Field, FileSource

    store = _store(directory, online_store)
    source = FileSource(name="unread", path=str(directory / "none.parquet"), timestamp_field="event_timestamp")
    schema = [Field(name=feature.name, dtype=_dtype(feature)) for feature in view.features]
    store.apply(
        [
            entity(view.name),
            source,
            FeatureView(name=view.name, entities=[entity(view.name)], schema=schema, source=source),
        ]
    )
    return store


def write_stock(
    store: "FeatureStore", view: ViewPlan, users: Sequence[str], values: npt.NDArray[np.float64], at_us: int
) -> None:
    """Fill it with values as of a moment, shape ``[users, features]``."""
    import pandas as pd

    frame = pd.DataFrame(values, columns=list(view.feature_names))
    frame = frame.astype({feature.name: feature.dtype for feature in view.features})
    frame.insert(0, "user_id", list(users))
    frame["event_timestamp"] = from_us(at_us)
    store.write_to_online_store(view.name, frame)


def over_packed_store(directory: Path, view: ViewPlan, location: str) -> "FeatureStore":
    """Feast with the packed store, over rows that are there already.

    Raises:
        DataError: what Feast is told compiles to another view, so that its rows are not those.
    """
    plan = directory / "plan.json"
    store = _store(
        directory,
        {
            "type": "tastemaker.features.feast.online.PackedOnlineStore",
            "plan": str(plan),
            "location": location,
            "clock_offset_us": 0,
        },
    )
    store.apply([entity(view.name), declared(view.name)])
    if FeaturePlan.load(plan).view(view.name).signature != view.signature:
        raise DataError(f"view {view.name} compiles to other features than those of the rows in {location}")
    return store


def _store(directory: Path, online_store: dict[str, Any]) -> "FeatureStore":
    from feast import FeatureStore, RepoConfig

    directory.mkdir()
    config = RepoConfig(
        project="bench",
        provider="local",
        registry={"registry_type": "sql", "path": f"sqlite:///{directory / 'registry.db'}"},
        online_store=online_store,
        entity_key_serialization_version=3,
    )
    config.repo_path = directory
    return FeatureStore(config=config)


def _dtype(feature: FeatureSpec) -> Any:
    from feast.types import Float64, Int64

    return {"int64": Int64, "float64": Float64}[feature.dtype]
