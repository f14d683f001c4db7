"""Prometheus's configuration for the local stack: what it asks, by which rules it alerts, and whom it tells."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tastemaker.errors import DataError
from tastemaker.observability.alert import RUNBOOKS
from tastemaker.settings import Settings

__all__ = ["prometheus_config", "rules_with_links"]


def prometheus_config(settings: Settings, rules: Path) -> dict[str, Any]:
    """Prometheus's configuration.

    No external labels: an alert has to have the labels of the one that a flow posts.

    Args:
        settings: the stack's, with the ports that it really has.
        rules: directory of rule files.
    """
    every = f"{round(settings.monitoring_seconds * 1000)}ms"
    first = settings.worker_metrics_port
    workers = [f"{settings.host}:{port}" for port in range(first, first + settings.workers)]
    public = _guarded(settings)
    config: dict[str, Any] = {
        "global": {"scrape_interval": every, "evaluation_interval": every, "scrape_timeout": every},
        "rule_files": [f"{rules}/*.yaml"],
        "scrape_configs": [
            _job("recommender", [f"{settings.callable_host}:{settings.recommender_port}"], **public),
            _job("collector", [f"{settings.callable_host}:{settings.collector_port}"], **public),
            _job("worker", workers),
            _job("exporter", [f"{settings.host}:{settings.exporter_port}"]),
        ],
    }
    if settings.monitoring_seconds > 10:
        config["global"]["scrape_timeout"] = "10s"
    if settings.alertmanager:
        url = urlsplit(settings.alertmanager)
        entry: dict[str, Any] = {"api_version": "v2", "scheme": url.scheme, "path_prefix": url.path or "/"}
        target = url.netloc.rpartition("@")[2]
        config["alerting"] = {"alertmanagers": [{**entry, "static_configs": [{"targets": [target]}]}]}
    return config


def rules_with_links(source: Path, target: Path, runbooks_url: str = "") -> None:
    """Copy the rule files, with links to the runbooks where these are published.

    Args:
        source: directory of the rule files.
        target: directory; files of before are removed.
        runbooks_url: base address; empty leaves the paths in the repository.

    Raises:
        DataError: there is no rule file.
    """
    files = sorted(source.glob("*.yaml"))
    if not files:
        raise DataError(
            f"no rule files in {source}; run it in a checkout of the repository, or set TASTEMAKER_REPOSITORY"
        )
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.yaml"):
        old.unlink()
    for path in files:
        text = path.read_text()
        if runbooks_url:
            text = text.replace(f"runbook_url: {RUNBOOKS}/", f"runbook_url: {runbooks_url.rstrip('/')}/")
        (target / path.name).write_text(text)


def _job(name: str, targets: list[str], **more: Any) -> dict[str, Any]:
    return {"job_name": name, "static_configs": [{"targets": targets}], **more}


def _guarded(settings: Settings) -> dict[str, Any]:
    """How to get past TLS and API keys."""
    more: dict[str, Any] = {}
    if settings.tls_certificate:
        more |= {"scheme": "https", "tls_config": {"ca_file": settings.tls_certificate}}
    if settings.metrics_key:
        more["authorization"] = {"credentials_file": settings.metrics_key}
    return more
