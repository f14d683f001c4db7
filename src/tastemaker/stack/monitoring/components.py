"""Prometheus, Alertmanager and the exporter of flows' figures as components of the local stack."""

import sys
from pathlib import Path
from typing import Any

import yaml

from tastemaker.observability.receivers import Receivers, alertmanager_config, load_receivers
from tastemaker.settings import Settings
from tastemaker.stack.component import Component
from tastemaker.stack.monitoring.programs import MISSING, find_programs
from tastemaker.stack.monitoring.scrape import prometheus_config, rules_with_links
from tastemaker.stack.probes import http_answers, port_open

__all__ = ["monitoring_announcement", "monitoring_components", "receivers_path"]

_KEPT = "15d"


def monitoring_announcement(settings: Settings) -> str | None:
    """What a person must know before relying on the stack's monitoring."""
    if not settings.monitoring:
        return None
    if find_programs(settings.repository) is None and not (settings.prometheus_url and settings.alertmanager_url):
        return MISSING
    if not settings.alertmanager_url and receivers_path(settings) is None:
        return "nobody gets alerts yet, they are only shown (tastemaker alerts list): see docs/alerts.md, Receivers"
    return None


def receivers_path(settings: Settings) -> Path | None:
    """The file that says who gets alerts; None when there is none."""
    if settings.alert_receivers:
        return Path(settings.alert_receivers)
    usual = settings.repository / "monitoring" / "alertmanager" / "receivers.yaml"
    return usual if usual.exists() else None


def monitoring_components(settings: Settings) -> list[Component]:
    """The components, with their configuration written; none where monitoring is off.

    Raises:
        DataError: the configuration of receivers has a mistake, or the rules are missing.
    """
    if not settings.monitoring:
        return []
    made = [_exporter(settings)]
    if not settings.alertmanager_url:
        made.append(_alertmanager(settings))
    if not settings.prometheus_url:
        made.append(_prometheus(settings))
    return made


def _exporter(settings: Settings) -> Component:
    return Component(
        "exporter",
        lambda: [sys.executable, "-m", "tastemaker.observability.exporter"],
        ready=lambda _: port_open(settings.host, settings.exporter_port),
    )


def _alertmanager(settings: Settings) -> Component:
    programs = find_programs(settings.repository)
    home = settings.observability_dir / "alertmanager"
    path = receivers_path(settings)
    config = alertmanager_config(
        settings.repository / "monitoring" / "alertmanager" / "alertmanager.yaml",
        Receivers() if path is None else load_receivers(path),
        home / "secrets",
    )
    options = [
        f"--config.file={_write(home / 'alertmanager.yaml', config)}",
        f"--storage.path={home / 'data'}",
        f"--web.listen-address={settings.host}:{settings.alertmanager_port}",
        "--cluster.listen-address=",  # one alone, without gossip
        "--log.level=warn",
    ]
    return Component(
        "alertmanager",
        lambda: None if programs is None else [str(programs.alertmanager), *options],
        ready=lambda _: http_answers(settings.host, settings.alertmanager_port, "/-/ready"),
        cwd=None if programs is None else programs.cwd,
        waits_for=MISSING,
    )


def _prometheus(settings: Settings) -> Component:
    programs = find_programs(settings.repository)
    home = settings.observability_dir / "prometheus"
    rules_with_links(settings.repository / "monitoring" / "prometheus" / "rules", home / "rules", settings.runbooks_url)
    options = [
        f"--config.file={_write(home / 'prometheus.yaml', prometheus_config(settings, home / 'rules'))}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--storage.tsdb.retention.time={_KEPT}",
        f"--web.listen-address={settings.host}:{settings.prometheus_port}",
        "--log.level=warn",
    ]
    return Component(
        "prometheus",
        lambda: None if programs is None else [str(programs.prometheus), *options],
        ready=lambda _: http_answers(settings.host, settings.prometheus_port, "/-/ready"),
        waits_for=MISSING,
    )


def _write(path: Path, config: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path
