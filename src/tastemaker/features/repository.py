"""The feature repository: apply its declarations, materialise, build training frames. Feast is imported on use."""

import contextlib
import importlib.util
import io
import os
import re
import string
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from tastemaker import names
from tastemaker.errors import DataError
from tastemaker.features.applied import note_applied
from tastemaker.features.audit.definition import function_text, window_text
from tastemaker.features.content.table import update_content
from tastemaker.features.declarations.error import located_failure
from tastemaker.features.plan import FeaturePlan
from tastemaker.lake.tables import Lake
from tastemaker.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from feast import FeatureStore

__all__ = ["FeatureRow", "apply", "list_features", "materialize", "open_store", "training_frame"]


class FeatureRow(NamedTuple):
    """One line of the list of features.

    Attributes:
        name: of the feature.
        view: its view.
        entities: what it is of; of a derived one also ``request``, where it takes fields of the request.
        dtype: its type.
        description: for people.
        owner: who answers for it.
        function: how it is computed, as declared.
        window: over what: a span, ``ever``, ``newest row`` of a table, or empty where the function says it.
        events: the types of the events that it sees.
    """

    name: str
    view: str
    entities: tuple[str, ...]
    dtype: str
    description: str
    owner: str
    function: str
    window: str
    events: tuple[str, ...]


def open_store(settings: Settings, **offline_options: Any) -> "FeatureStore":
    """Feast's own API over the platform's registry, lake and online store.

    Args:
        settings: of the platform.
        offline_options: options of the offline store to set, such as ``processing_delay_seconds``.

    Raises:
        DataError: the repository directory has no ``feature_repo/feature_store.yaml``, or none for the
            engine, or the engine is not installed.
    """
    from feast import FeatureStore, RepoConfig

    # Known, and said at every read of the registry; Feast puts its own filters first when it is imported.
    warnings.filterwarnings("ignore", message="(Stream|Batch) feature views are experimental")
    path = settings.repository / "feature_repo" / "feature_store.yaml"
    raw = _yaml(settings, path)
    if settings.features_engine != "local":
        if importlib.util.find_spec(settings.features_engine) is None:
            raise DataError(
                f"TASTEMAKER_FEATURES_ENGINE is {settings.features_engine}, which is not installed; install"
                f" tastemaker[{settings.features_engine}], or set it to local"
            )
        for section, options in _yaml(settings, path.with_suffix(f".{settings.features_engine}.yaml")).items():
            raw[section] = raw.get(section, {}) | options
    raw["online_store"] |= {"location": str(settings.online_location), "clock_offset_us": settings.clock_offset_us}
    raw["offline_store"]["processing_delay_seconds"] = settings.processing_delay_seconds
    raw["offline_store"] |= offline_options
    if settings.features_engine == "ray":
        from tastemaker.features.feast.ray_cluster import prepare_environment

        prepare_environment(raw["offline_store"], os.environ)  # before Feast imports Ray
    settings.feast_dir.mkdir(parents=True, exist_ok=True)
    config = RepoConfig(**raw)
    config.repo_path = path.parent
    return FeatureStore(config=config)


def _yaml(settings: Settings, path: Path) -> dict[str, Any]:
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        raise DataError(f"no {path}; run from the repository, or set TASTEMAKER_REPOSITORY to it") from error
    content: dict[str, Any] = yaml.safe_load(string.Template(text).safe_substitute(settings.to_env()))
    return content


def apply(settings: Settings) -> FeaturePlan:
    """Register the declarations with Feast and compile them to the plan: what `feast apply` does, after a check.

    Runs in a process of its own, because Feast imports the declarations as top-level modules.

    Raises:
        DataError: a declaration is wrong; names view, aggregation and remedy. Plan and registry stay as they were.
    """
    directory = settings.repository / "feature_repo"
    if not directory.is_dir():
        raise DataError(f"no {directory}; run from the repository, or set TASTEMAKER_REPOSITORY to it")
    settings.feast_dir.mkdir(parents=True, exist_ok=True)
    Lake(settings.lake_dir).create()
    ran = subprocess.run(
        [sys.executable, "-m", "tastemaker.features.feast.apply", str(directory)],
        env=os.environ | settings.to_env() | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        output = (ran.stderr or ran.stdout).strip()
        known = re.findall(r"^tastemaker\.[\w.]+Error: (.*)", output, re.MULTILINE)
        raise DataError(known[-1] if known else "`feast apply` failed: " + located_failure(output, directory))
    plan = FeaturePlan.load(settings.plan_path)
    note_applied(settings, plan)
    return plan


def materialize(settings: Settings, end: datetime, *, refit_content: bool = False) -> tuple[str, ...]:
    """Write the batch views' rows up to a moment into the online store; content vectors are brought up to date first.

    Args:
        settings: of the platform.
        end: the platform's time; later rows stay out.
        refit_content: learn the projection of content vectors anew, and give every product a new vector.

    Returns:
        The names of the views.
    """
    plan = FeaturePlan.load(settings.plan_path)
    views = tuple(view.name for view in plan.views if view.kind == "batch")
    if any(plan.view(name).table == names.TABLE_ITEM_CONTENT for name in views):
        update_content(Lake(settings.lake_dir), settings.content_path, end, refit=refit_content)
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
    """Every feature of the plan in force, by view, derived ones last."""
    plan = FeaturePlan.load(settings.plan_path)
    stored = [
        FeatureRow(
            feature.name,
            view.name,
            view.entities,
            feature.dtype,
            feature.description,
            view.owner,
            function_text(feature),
            window_text(view, feature),
            () if feature.function == "ratio" else feature.types,
        )
        for view in plan.views
        for feature in view.features
    ]
    derived = []
    for view in plan.on_demand:
        inputs = dict.fromkeys(name for name, _ in view.inputs)
        entities = tuple(dict.fromkeys(entity for name in inputs for entity in plan.view(name).entities))
        takes = [name for _, name in view.inputs] + [name for name, _ in view.request]
        function = f"from {', '.join(takes)}"
        of = (*entities, "request") if view.request else entities
        derived += [
            FeatureRow(each.name, view.name, of, each.dtype, each.description, view.owner, function, "", ())
            for each in view.features
        ]
    return stored + derived
