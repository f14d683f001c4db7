"""Who gets alerts: Alertmanager's configuration, made of the routes and the receivers that are configured.

A receiver's secret comes from a file or an environment variable; the configuration only ever names files. The keys are
Alertmanager 0.25's (its documentation, "Configuration").
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tastemaker.errors import DataError
from tastemaker.observability.alert import Severity

__all__ = ["Email", "PagerDuty", "Receivers", "Slack", "Webhook", "alertmanager_config", "load_receivers"]

_TEXT = """{{ range .Alerts }}{{ if eq .Status "resolved" }}Resolved: {{ end }}{{ .Annotations.summary }}
{{ if eq .Status "firing" }}{{ if .Annotations.details }}{{ .Annotations.details }}
{{ end }}What to do: {{ .Annotations.action }}
Runbook: {{ .Annotations.runbook_url }}
{{ end }}{{ end }}"""
_TITLE = "[{{ .Status | toUpper }}] {{ .CommonLabels.alertname }} {{ .CommonLabels.component }}"
# The Alertmanager receivers, by severity.
_RECEIVERS: Mapping[Severity, str] = {"page": "pages", "ticket": "tickets"}


class _Receiver(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    severities: tuple[Severity, ...] = ("page", "ticket")


class Webhook(_Receiver):
    """A URL that gets a JSON object; with a bearer token from ``token_file`` or ``token_env``, if any."""

    url: str = Field(pattern="^https?://[^@]+$")  # a password in it would stand in the configuration
    token_file: str = ""
    token_env: str = ""


class Email(_Receiver):
    """An address, by way of an SMTP server; ``smarthost`` has its port."""

    to: str
    from_: str = Field(alias="from")
    smarthost: str = Field(pattern=r"^[^:]+:\d+$")
    username: str = ""
    password_file: str = ""
    password_env: str = ""
    require_tls: bool = True


class Slack(_Receiver):
    """A channel, by way of an incoming webhook, whose address is the secret."""

    channel: str
    url_file: str = ""
    url_env: str = ""


class PagerDuty(_Receiver):
    """A service, by way of the routing key of its Events API v2."""

    severities: tuple[Severity, ...] = ("page",)
    routing_key_file: str = ""
    routing_key_env: str = ""


class Receivers(BaseModel):
    """All who get alerts; none is allowed, then alerts are only shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook: tuple[Webhook, ...] = ()
    email: tuple[Email, ...] = ()
    slack: tuple[Slack, ...] = ()
    pagerduty: tuple[PagerDuty, ...] = ()


def load_receivers(path: Path) -> Receivers:
    """The receivers of a file.

    Raises:
        DataError: it cannot be read, or a key is unknown or missing.
    """
    try:
        return Receivers.model_validate(yaml.safe_load(path.read_text()) or {})
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise DataError(f"{path}: {error}; receivers.example.yaml beside it shows what there is") from error


def alertmanager_config(
    template: Path, receivers: Receivers, secrets: Path, environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Alertmanager's configuration.

    Args:
        template: YAML with route and inhibition; its receivers are called ``pages`` and ``tickets``.
        receivers: who gets alerts.
        secrets: directory, open to its owner alone, that gets a file for each secret of the environment.
        environ: the environment; the process's by default.

    Raises:
        DataError: a secret is missing, or is named twice.
    """
    config: dict[str, Any] = yaml.safe_load(template.read_text())
    secret = _Secrets(secrets, os.environ if environ is None else environ)
    made: list[tuple[_Receiver, str, dict[str, Any]]] = []
    for webhook in receivers.webhook:
        made.append((webhook, "webhook_configs", _webhook(webhook, secret)))
    for email in receivers.email:
        made.append((email, "email_configs", _email(email, secret)))
    for slack in receivers.slack:
        made.append((slack, "slack_configs", _slack(slack, secret)))
    for pagerduty in receivers.pagerduty:
        made.append((pagerduty, "pagerduty_configs", _pagerduty(pagerduty, secret)))
    config["receivers"] = []
    for severity, name in _RECEIVERS.items():
        entry: dict[str, Any] = {"name": name}
        for receiver, kind, body in made:
            if severity in receiver.severities:
                entry.setdefault(kind, []).append({"send_resolved": True, **body})
        config["receivers"].append(entry)
    return config


class _Secrets:
    """Paths of files that hold secrets; those of the environment are written."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self._directory = directory
        self._environ = environ

    def __call__(self, what: str, file: str, variable: str, need: Literal["needed", "optional"] = "needed") -> str:
        if file and variable:
            raise DataError(f"{what} is named twice, by a file and by an environment variable; keep one")
        if not file and not variable:
            if need == "needed":
                raise DataError(f"{what} is missing; name a file that holds it, or an environment variable")
            return ""
        if file:
            path = Path(file).absolute()
            if not path.is_file():
                raise DataError(f"{what}: there is no file {path}")
            return str(path)
        if not self._environ.get(variable):
            raise DataError(f"{what}: the environment variable {variable} is not set")
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory.absolute() / variable
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(self._environ[variable].strip())
        return str(path)


def _webhook(one: Webhook, secret: _Secrets) -> dict[str, Any]:
    token = secret(f"the token of the webhook {one.url}", one.token_file, one.token_env, "optional")
    more = {"http_config": {"authorization": {"credentials_file": token}}} if token else {}
    return {"url": one.url, **more}


def _email(one: Email, secret: _Secrets) -> dict[str, Any]:
    need: Literal["needed", "optional"] = "needed" if one.username else "optional"
    password = secret(f"the password of {one.smarthost}", one.password_file, one.password_env, need)
    more = {"auth_username": one.username, "auth_password_file": password} if one.username else {}
    return {
        "to": one.to,
        "from": one.from_,
        "smarthost": one.smarthost,
        "require_tls": one.require_tls,
        "headers": {"Subject": _TITLE},
        "text": _TEXT,
        **more,
    }


def _slack(one: Slack, secret: _Secrets) -> dict[str, Any]:
    url = secret(f"the address of Slack's webhook for {one.channel}", one.url_file, one.url_env)
    return {"api_url_file": url, "channel": one.channel, "title": _TITLE, "text": _TEXT}


def _pagerduty(one: PagerDuty, secret: _Secrets) -> dict[str, Any]:
    key = secret("PagerDuty's routing key", one.routing_key_file, one.routing_key_env)
    links = [{"href": "{{ .CommonAnnotations.runbook_url }}", "text": "Runbook"}]
    return {"routing_key_file": key, "description": _TITLE, "details": {"alerts": _TEXT}, "links": links}
