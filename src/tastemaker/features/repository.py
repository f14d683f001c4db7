"""The feature repository: apply its declarations, materialise, build training frames. Feast is imported on use."""

import contextlib
import io
import os
import re
import string
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from tastemaker.errors import DataError
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from feast import FeatureStore

__all__ = ["FeatureRow", "apply", "list_features", "materialize", "open_store", "training_frame"]


class FeatureRow(NamedTuple):
    """One line of the list of features."""

    name: str
    view: str
    entities: tuple[str, ...]
    dtype: str
    description: str
    owner: str


def open_store(settings: Settings, **offline_options: Any) -> "FeatureStore":
    """Feast's own API over the platform's registry, lake and online store.

    Args:
        settings: of the platform.
        offline_options: options of the offline store to set, such as ``processing_delay_seconds``.

    Raises:
        DataError: the repository directory has no ``feature_repo/feature_store.yaml``.
    """
    from feast import FeatureStore, RepoConfig

    # Known, and said at every read of the registry; Feast puts its own filters first when it is imported.
    warnings.filterwarnings("ignore", message="(Stream|Batch) feature views are experimental")
    path = settings.repository / "feature_repo" / "feature_store.yaml"
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        raise DataError(f"no {path}; run from the repository, or set TASTEMAKER_REPOSITORY to it") from error
    raw = yaml.safe_load(string.Template(text).safe_substitute(settings.to_env()))
    raw["online_store"]["clock_offset_us"] = settings.clock_offset_us
    raw["offline_store"] |= offline_options
    settings.feast_dir.mkdir(parents=True, exist_ok=True)
    config = RepoConfig(**raw)
    config.repo_path = path.parent
    return FeatureStore(config=config)


def apply(settings: Settings) -> FeaturePlan:
    """Register the declarations with Feast and compile them to the plan: what `feast apply` does.

    Runs in a process of its own, because Feast imports the declarations as top-level modules.

    Raises:
        DataError: a declaration is wrong; names view, aggregation and remedy. The plan in force stays.
    """
    directory = settings.repository / "feature_repo"
    if not directory.is_dir():
        raise DataError(f"no {directory}; run from the repository, or set TASTEMAKER_REPOSITORY to it")
    settings.feast_dir.mkdir(parents=True, exist_ok=True)
    Lake(settings.lake_dir).create()
    ran = subprocess.run(
        [sys.executable, "-m", "feast.cli.cli", "--chdir", str(directory), "apply"],
        env=os.environ | settings.to_env() | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        output = (ran.stderr or ran.stdout).strip()
        known = re.findall(r"^tastemaker\.errors\.\w+: (.*)", output, re.MULTILINE)
        raise DataError(known[-1] if known else "`feast apply` failed:\n" + "\n".join(output.splitlines()[-15:]))
    return FeaturePlan.load(settings.plan_path)


def materialize(settings: Settings, end: datetime) -> tuple[str, ...]:
    """Write the batch views' rows up to a moment into the online store.

    Args:
        settings: of the platform.
        end: the platform's time; later rows stay out.

    Returns:
        The names of the views.
    """
    views = tuple(view.name for view in FeaturePlan.load(settings.plan_path).views if view.kind == "batch")
    if views:
        store = open_store(settings)
        with contextlib.redirect_stdout(io.StringIO()):  # Feast draws progress there, with no way to ask it not to
            store.materialize(datetime(1970, 1, 1, tzinfo=UTC), end, feature_views=list(views))
    return views


def training_frame(settings: Settings, entity_df: "pd.DataFrame", service: str, **offline_options: Any) -> "pa.Table":
    """The features of a service as of each row, through Feast.

    Args:
        settings: of the platform.
        entity_df: entity ids (``user_id``, ``item_id``, ...) and ``event_timestamp``; other columns are kept.
        service: name of a feature service.
        offline_options: as of :func:`open_store`.

    Returns:
        The rows of ``entity_df`` in their order, with one column per feature.
    """
    store = open_store(settings, **offline_options)
    return store.get_historical_features(entity_df, store.get_feature_service(service)).to_arrow()


def list_features(settings: Settings) -> list[FeatureRow]:
    """Every feature of the plan in force, by view."""
    return [
        FeatureRow(feature.name, view.name, view.entities, feature.dtype, feature.description, view.owner)
        for view in FeaturePlan.load(settings.plan_path).views
        for feature in view.features
    ]
