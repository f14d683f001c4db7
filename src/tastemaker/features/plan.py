"""The feature plan: the applied declarations, compiled to plain data that every process loads without Feast."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec

from tastemaker.errors import DataError

__all__ = ["FeaturePlan", "FeatureSpec", "OnDemandPlan", "ServiceSpec", "ViewKind", "ViewPlan"]

ViewKind = Literal["aggregate", "history", "batch"]


class FeatureSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One feature; :mod:`tastemaker.features.semantics` says what the functions mean.

    Attributes:
        name: its name within the view.
        dtype: ``int64``, ``float64``, ``bool``, ``string``, ``list[string]``, ``list[int64]`` or ``list[float64]``.
        function: one of :data:`tastemaker.features.declarations.grammar.FUNCTIONS`; ``""`` for a plain column of a
            batch view, ``"age"`` for the days since a time column of one.
        column: the event's or table's column that it is computed from; of a ``ratio``, nothing.
        types: event types that it sees, sorted.
        window_us: length of the window; 0 for the lifetime.
        slide_us: step of the window's trailing edge.
        n: length of a ``last_n`` or ``top_k``, cells of an ``approx_distinct``.
        by: what a ``top_k`` weighs by: ``"value"``, or ``""`` for the number of events.
        half_life_us: of a ``decayed_count`` or ``decayed_sum``.
        operands: names of the two features of the same view that a ``ratio`` divides.
        default: the value where nothing is known; NaN of a float without a declared default; None of a list.
        description: for people.
    """

    name: str
    dtype: str
    column: str
    function: str = ""
    types: tuple[str, ...] = ()
    window_us: int = 0
    slide_us: int = 0
    n: int = 0
    by: str = ""
    half_life_us: int = 0
    operands: tuple[str, ...] = ()
    default: float | str | None = None
    description: str = ""

    def __post_init__(self) -> None:
        """Make a whole number a float, as which JSON gives it back, so that hashes agree."""
        if isinstance(self.default, int):
            msgspec.structs.force_setattr(self, "default", float(self.default))

    @property
    def default_value(self) -> float | int | bool | str | list[object] | None:
        """The default as a value of the feature's type; JSON has no NaN, so a missing float default means NaN."""
        if self.dtype.startswith("list"):
            return []
        if self.dtype == "float64":
            return float("nan") if self.default is None else float(self.default)
        if self.default is None:
            return None
        convert: type[int] | type[bool] | type[str] = {"int64": int, "bool": bool, "string": str}[self.dtype]
        return convert(self.default)

    @property
    def is_numeric(self) -> bool:
        """Whether it can be a column of a matrix."""
        return self.dtype in {"int64", "float64", "bool"}


class ViewPlan(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One feature view.

    Attributes:
        name: its name.
        kind: ``aggregate`` (windows over events), ``history`` (the newest events) or ``batch`` (columns of a table).
        entities: names of its entities.
        join_keys: their columns, in the same order; the parts of a key.
        features: in the order of the declaration, which is the order of a matrix's columns.
        ttl_us: how long a value lives after its newest event; 0 for ever.
        lateness_us: the allowed lateness: an event that arrived later than this after it occurred is in the lake, but
            in no feature of the view, in batch as in stream; 0 allows any.
        table: the lake table behind it.
        timestamp_field: the table's time column.
        created_field: the time at which a row became known, if the table has one.
        description: for people.
        owner: who answers for it.
    """

    name: str
    kind: ViewKind
    entities: tuple[str, ...]
    join_keys: tuple[str, ...]
    features: tuple[FeatureSpec, ...]
    table: str
    timestamp_field: str
    ttl_us: int = 0
    lateness_us: int = 0
    created_field: str = ""
    description: str = ""
    owner: str = ""

    @cached_property
    def signature(self) -> str:
        """Name and content hash: stored with each row, so that no reader decodes a row of another layout."""
        features = tuple(msgspec.structs.replace(feature, description="") for feature in self.features)
        content = msgspec.structs.replace(self, features=features, description="", owner="")
        return f"{self.name}@{hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:12]}"

    @cached_property
    def types(self) -> frozenset[str]:
        """Event types that at least one feature sees."""
        return frozenset(event_type for feature in self.features for event_type in feature.types)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    def feature(self, name: str) -> FeatureSpec:
        """One feature by name.

        Raises:
            DataError: the view has no such feature.
        """
        for feature in self.features:
            if feature.name == name:
                return feature
        raise DataError(f"view {self.name} has no feature {name!r}; it has {', '.join(self.feature_names)}")


class OnDemandPlan(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Features that are derived while they are read, from stored ones and from the request.

    Attributes:
        name: its name.
        features: what it gives; only ``name``, ``dtype``, ``default`` and ``description`` mean something.
        inputs: stored features that it takes, as ``(view, feature)``.
        request: fields of the request that it takes, as ``(name, dtype)``.
        udf: the function, pickled as Feast pickles it, in base64; from a pandas frame of inputs to one of features.
        description: for people.
        owner: who answers for it.
    """

    name: str
    features: tuple[FeatureSpec, ...]
    inputs: tuple[tuple[str, str], ...]
    request: tuple[tuple[str, str], ...]
    udf: str
    description: str = ""
    owner: str = ""


class ServiceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A feature service: the features that one model reads, as ``(view, feature)`` in order.

    A view is one of :attr:`FeaturePlan.views` or of :attr:`FeaturePlan.on_demand`.
    """

    name: str
    features: tuple[tuple[str, str], ...]
    description: str = ""
    owner: str = ""


class FeaturePlan(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All views and services.

    Attributes:
        views: sorted by name.
        services: sorted by name.
        on_demand: views that are derived while they are read, sorted by name.
    """

    views: tuple[ViewPlan, ...]
    services: tuple[ServiceSpec, ...] = ()
    on_demand: tuple[OnDemandPlan, ...] = ()

    @cached_property
    def hash(self) -> str:
        """Hash of everything that decides a feature's value."""
        signatures = "\n".join(sorted(view.signature for view in self.views))
        services = msgspec.json.encode([(service.name, service.features) for service in self.services])
        derived = msgspec.json.encode([(view.name, view.inputs, view.request, view.udf) for view in self.on_demand])
        return hashlib.sha256(signatures.encode() + services + derived).hexdigest()[:16]

    @cached_property
    def state_hash(self) -> str:
        """Hash of what decides the online state: the views, without the services."""
        return hashlib.sha256("\n".join(sorted(view.signature for view in self.views)).encode()).hexdigest()[:16]

    @cached_property
    def by_name(self) -> Mapping[str, ViewPlan]:
        """The views by name."""
        return {view.name: view for view in self.views}

    def view(self, name: str) -> ViewPlan:
        """One view by name.

        Raises:
            DataError: no view has that name.
        """
        if name not in self.by_name:
            raise DataError(f"the feature plan has no view {name!r}; it has {', '.join(self.by_name)}")
        return self.by_name[name]

    def service(self, name: str) -> ServiceSpec:
        """One service by name.

        Raises:
            DataError: no service has that name.
        """
        for service in self.services:
            if service.name == name:
                return service
        known = ", ".join(service.name for service in self.services)
        raise DataError(f"the feature plan has no service {name!r}; it has {known}")

    def views_of(self, *services: str) -> tuple[str, ...]:
        """Names of the stored views that some services read, also for what is derived; sorted."""
        derived = {view.name: [origin for origin, _ in view.inputs] for view in self.on_demand}
        read = {view for service in services for view, _ in self.service(service).features}
        return tuple(sorted({origin for view in read for origin in derived.get(view, [view])}))

    def save(self, path: Path) -> None:
        """Write the plan; a reader sees the old file or the new one, never half of one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> "FeaturePlan":
        """Read a plan.

        Raises:
            DataError: there is none, or it does not decode.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError as error:
            raise DataError(
                f"no feature plan at {path}; run `tastemaker features apply` to compile the declarations"
            ) from error
        except msgspec.DecodeError as error:
            raise DataError(
                f"the feature plan at {path} does not decode ({error}); apply the features again"
            ) from error
