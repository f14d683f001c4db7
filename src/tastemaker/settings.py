"""Settings: one frozen model, built at each entry point from the environment and passed down."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from tastemaker.clock import Clock
from tastemaker.errors import DataError
from tastemaker.home_files import HomeFiles

__all__ = ["ENV_PREFIX", "Settings"]

ENV_PREFIX = "TASTEMAKER_"
_CLOCK_FILE = "clock_offset_us"
_UNPREFIXED = ("kafka_bootstrap_servers", "prometheus_url", "alertmanager_url")  # as other tools call them
_FILES = ("api_keys", "tls_certificate", "tls_key", "alert_receivers", "metrics_key")


class Settings(HomeFiles):
    """Where the platform keeps its state and how its parts reach each other.

    Every field can be set by the environment variable ``TASTEMAKER_<FIELD>``;
    ``kafka_bootstrap_servers`` by ``KAFKA_BOOTSTRAP_SERVERS``, ``PROMETHEUS_URL`` and ``ALERTMANAGER_URL`` likewise.

    Attributes:
        kafka_bootstrap_servers: address of a broker that someone else runs; empty for the local node.
        clock_offset_us: see :class:`tastemaker.clock.Clock`.
        serve_log_rate: share of answers written to the served-list log with the feature values that they were made of,
            0 to 1; all of them by default.
        surfaces_dir: recipes of surfaces (``*.yaml``) that add to the built-in ones or take their place; empty: none.
        max_body_bytes: size of a request's body that the collector takes.
        unknown_items: whether the collector rejects or accepts an event about an item that no catalogue entry
            announced.
        online_store: where the online features are: an SQLite file (a relative path: in the home),
            ``redis://HOST:PORT/DB``, ``rediss://``, ``redis+cluster://HOST:PORT`` or ``rediss+cluster://``.
        workers: how many stream workers `tastemaker up` runs; they share the partitions.
        worker_memory_mb: memory of one stream worker's process in MiB: it decides how much waits in its queues and how
            many states it keeps at hand.
        worker_metrics_port: where the first stream worker answers Prometheus; the next ones answer on the next ports.
        processing_delay_seconds: how long an event takes to be readable online, on the slow side; training rows see
            the features of that much earlier.
        features_engine: what builds training sets and materialises batch views: this machine, or a Ray cluster
            (``feature_repo/feature_store.ray.yaml``).
        host: where everything listens that is not for strangers, Kafka and Prefect among it; it knows no API keys.
        serve_host: where the collector and the recommender listen; empty: ``host``.
        recommender_grpc_port: where the recommender speaks the Open Inference Protocol over gRPC; 0 leaves it out.
        api_keys: the file of API keys; empty: ``access/keys.json`` in the home.
        allow_open: listen on any address without API keys, because something in front of it checks callers.
        tls_certificate: PEM file of the certificate chain that the collector and the recommender serve with; empty is
            without TLS.
        tls_key: PEM file of its key.
        log_format: how the recommender writes its log: text, or a JSON object per line.
        log_requests: which lists get a line with their request id: slow and degraded ones (``problems``), all, or none.
        log_slow_ms: from when a list is slow, in milliseconds.
        trace_endpoint: base address of an OpenTelemetry collector that takes OTLP over HTTP; empty: nothing is traced.
            ``OTEL_EXPORTER_OTLP_HEADERS`` has what is sent along, such as a key.
        trace_rate: share of calls without a ``traceparent`` header that are traced; with one, its flag decides.
        repeat_seconds: for how long the recommender may give what it ranked for a request to an identical
            one, provided that nothing of the shopper, the rules and the shop has changed; 0 ranks for each request.
        follow_champion: whether the recommender serves the release that the champion pointer names, and goes over to
            another one while it runs; otherwise it serves the release that its Bento was built with. The stack sets it.
        max_in_progress: requests that the collector or the recommender has in progress at once; more are told to come
            back.
        cluster_storage: where KServe finds a release, such as ``pvc://home/{release}``; rollouts then act on a cluster.
            Empty: on the stack's recommender.
        cluster_mode: how KServe runs there, as the applied overlay says: ``standard``, where an InferenceGraph divides
            the calls, or ``knative``, where ``canaryTrafficPercent`` does.
        cluster_namespace: of the platform in that cluster.
        monitoring: whether `tastemaker up` runs Prometheus and Alertmanager too.
        monitoring_seconds: how often Prometheus asks and evaluates its rules.
        prometheus_port: where the stack's Prometheus listens.
        alertmanager_port: where the stack's Alertmanager listens.
        exporter_port: where the figures of flows answer Prometheus.
        prometheus_url: a Prometheus that someone else runs, also as ``PROMETHEUS_URL``; empty for the stack's.
        alertmanager_url: an Alertmanager that someone else runs, also as ``ALERTMANAGER_URL``; empty for the stack's.
        alert_receivers: the YAML file that says who gets alerts; empty: ``monitoring/alertmanager/receivers.yaml``
            of the repository, if there is one.
        runbooks_url: base address of the runbooks in links of alerts; empty: their paths in the repository.
        metrics_key: file with an API key of the scope ``administer``, which Prometheus sends where keys are asked for.
    """

    repository: Path = Path(".")
    host: str = "127.0.0.1"
    kafka_bootstrap_servers: str = ""
    kafka_port: int = Field(9092, ge=1, le=65535)
    kafka_controller_port: int = Field(9093, ge=1, le=65535)
    collector_port: int = Field(8081, ge=1, le=65535)
    recommender_port: int = Field(8080, ge=1, le=65535)
    reports_port: int = Field(8082, ge=1, le=65535)
    prefect_port: int = Field(4200, ge=1, le=65535)
    clock_offset_us: int = 0
    serve_log_rate: float = Field(1.0, ge=0, le=1)
    surfaces_dir: str = ""
    max_body_bytes: int = Field(1024 * 1024, ge=1024)
    unknown_items: Literal["reject", "accept"] = "reject"
    online_store: str = "online.sqlite"
    workers: int = Field(1, ge=1, le=64)
    worker_memory_mb: int = Field(1024, ge=512)
    worker_metrics_port: int = Field(8083, ge=1, le=65535)
    processing_delay_seconds: float = Field(0.0, ge=0)
    features_engine: Literal["local", "ray"] = "local"
    serve_host: str = ""
    recommender_grpc_port: int = Field(8090, ge=0, le=65535)
    api_keys: str = ""
    allow_open: bool = False
    tls_certificate: str = ""
    tls_key: str = ""
    log_format: Literal["text", "json"] = "text"
    log_requests: Literal["none", "problems", "all"] = "problems"
    log_slow_ms: float = Field(100.0, ge=0)
    trace_endpoint: str = Field("", pattern="^(https?://.+)?$")
    trace_rate: float = Field(0.01, ge=0, le=1)
    repeat_seconds: float = Field(5.0, ge=0, le=300)
    follow_champion: bool = False
    max_in_progress: int = Field(512, ge=1)
    cluster_storage: str = ""
    cluster_mode: Literal["standard", "knative"] = "standard"
    cluster_namespace: str = "tastemaker"
    monitoring: bool = False
    monitoring_seconds: float = Field(15.0, ge=0.1)
    prometheus_port: int = Field(9090, ge=1, le=65535)
    alertmanager_port: int = Field(9095, ge=1, le=65535)
    exporter_port: int = Field(9096, ge=1, le=65535)
    prometheus_url: str = Field("", pattern="^(https?://.+)?$")
    alertmanager_url: str = Field("", pattern="^(https?://.+)?$")
    alert_receivers: str = ""
    runbooks_url: str = Field("", pattern="^(https?://.+)?$")
    metrics_key: str = ""

    @model_validator(mode="after")
    def _certificate_and_key(self) -> "Settings":
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key go together; set both, or neither")
        return self

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: object) -> "Settings":
        """Settings from environment variables; ``overrides`` win.

        Raises:
            DataError: a variable does not convert to its field's type.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, object] = {
            name: environ[ENV_PREFIX + name.upper()]
            for name in cls.model_fields
            if environ.get(ENV_PREFIX + name.upper())
        }
        home = Path(str(overrides.get("home", values.get("home", cls.model_fields["home"].default))))
        if "clock_offset_us" not in values and (home / _CLOCK_FILE).exists():
            values["clock_offset_us"] = (home / _CLOCK_FILE).read_text()
        for field in _UNPREFIXED:
            if environ.get(field.upper()):
                values[field] = environ[field.upper()]
        values.update(overrides)
        try:
            settings = cls.model_validate(values)
        except ValueError as error:
            raise DataError(f"settings from {ENV_PREFIX}* variables: {error}") from error
        # Some processes of the stack, and BentoML's workers, run elsewhere.
        files = {name: getattr(settings, name) for name in _FILES}
        return settings.model_copy(
            update={
                "home": settings.home.absolute(),
                "repository": settings.repository.absolute(),
                **{name: str(Path(path).absolute()) for name, path in files.items() if path},
            }
        )

    def with_clock_at(self, moment: datetime) -> "Settings":
        """Pin the platform's clock to a moment in the data and let it run on from there.

        The offset is kept in the home, so that every later process and every restart continues the same clock.
        """
        offset_us = Clock.starting_at(moment).offset_us
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / _CLOCK_FILE).write_text(str(offset_us))
        return self.model_copy(update={"clock_offset_us": offset_us})

    def to_env(self) -> dict[str, str]:
        """The environment variables that give a child process these settings."""
        env = {ENV_PREFIX + name.upper(): str(value) for name, value in self.model_dump().items() if value != ""}
        env["KAFKA_BOOTSTRAP_SERVERS"] = self.broker
        return env

    @property
    def clock(self) -> Clock:
        """The platform's clock."""
        return Clock(self.clock_offset_us)

    @property
    def broker(self) -> str:
        """The address that Kafka clients connect to."""
        return self.kafka_bootstrap_servers or f"{self.host}:{self.kafka_port}"

    @property
    def online_location(self) -> Path | str:
        """The online store, as :mod:`tastemaker.features.stores.opening` takes it."""
        return self.online_store if ":" in self.online_store else self.home / self.online_store

    @property
    def collector_url(self) -> str:
        """Base address of the event collector."""
        return f"{self._scheme}://{self.callable_host}:{self.collector_port}"

    @property
    def worker_metrics_url(self) -> str:
        """Where the first stream worker answers Prometheus."""
        return f"http://{self.host}:{self.worker_metrics_port}/metrics"

    @property
    def recommender_url(self) -> str:
        """Base address of the recommender."""
        return f"{self._scheme}://{self.callable_host}:{self.recommender_port}"

    @property
    def api_keys_path(self) -> Path:
        """The file of API keys."""
        return Path(self.api_keys) if self.api_keys else self.home / "access" / "keys.json"

    @property
    def serving_host(self) -> str:
        """Where the collector and the recommender listen."""
        return self.serve_host or self.host

    @property
    def callable_host(self) -> str:
        """An address at which this machine reaches the collector and the recommender."""
        return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.serving_host, self.serving_host)  # noqa: S104

    @property
    def _scheme(self) -> str:
        return "https" if self.tls_certificate else "http"

    @property
    def reports_url(self) -> str:
        """Base address of the report server."""
        return f"http://{self.host}:{self.reports_port}"

    @property
    def prefect_url(self) -> str:
        """Base address of the Prefect UI; its API is under ``/api``."""
        return f"http://{self.host}:{self.prefect_port}"

    @property
    def alertmanager(self) -> str:
        """Base address of the Alertmanager that alerts are posted to; empty where there is none."""
        if self.alertmanager_url or not self.monitoring:
            return self.alertmanager_url.rstrip("/")
        return f"http://{self.host}:{self.alertmanager_port}"

    @property
    def prometheus(self) -> str:
        """Base address of Prometheus; empty where there is none."""
        if self.prometheus_url or not self.monitoring:
            return self.prometheus_url.rstrip("/")
        return f"http://{self.host}:{self.prometheus_port}"
