"""An alert: what it is called, whom it concerns, and what to do."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

__all__ = ["RUNBOOKS", "Alert", "Severity", "page_name", "runbook_of"]

Severity = Literal["page", "ticket"]
RUNBOOKS = "docs/runbooks"
_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def page_name(alert: str) -> str:
    """The file name of an alert's runbook.

    >>> page_name("ErrorBudgetBurnFast")
    'error-budget-burn-fast.md'
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", alert).lower() + ".md"


def runbook_of(alert: str, base: str = "") -> str:
    """Link to an alert's runbook; a path in the repository without ``base``."""
    return f"{(base or RUNBOOKS).rstrip('/')}/{page_name(alert)}"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person must know of, as Alertmanager takes it.

    Name, severity, owner, component and ``labels`` identify it: posted again with the same, it is the same alert, gets
    no second notification, and can be resolved. So what differs from run to run, such as ids of runs and releases, or
    measured values, belongs to ``summary`` and ``annotations``.

    Attributes:
        name: in CamelCase; ``docs/runbooks`` has a page of that name.
        severity: ``page`` wakes somebody up, ``ticket`` waits for the working day.
        owner: the team whose it is.
        component: the part of the platform that it is about.
        summary: what is wrong, in one line.
        action: what to do first.
        labels: what else identifies it, such as the surface or the view; few values.
        annotations: more to read, such as figures and links.
    """

    name: str
    severity: Severity
    owner: str
    component: str
    summary: str
    action: str
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the alert's name {self.name!r} is not in CamelCase, such as GateBlocked")
        for label in (*self.labels, *self.annotations):
            if not _LABEL.fullmatch(label):
                raise ValueError(f"{self.name}: {label!r} is no label name; letters, digits and underscores")

    @property
    def identity(self) -> dict[str, str]:
        """All labels."""
        own = {"alertname": self.name, "severity": self.severity, "owner": self.owner, "component": self.component}
        return {**self.labels, **own}

    @property
    def key(self) -> str:
        """A short name of the identity, for a file."""
        text = "\n".join(f"{name}={value}" for name, value in sorted(self.identity.items()))
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def posted(self, *, starts_at: datetime | None, ends_at: datetime, runbooks_url: str = "") -> dict[str, Any]:
        """The object that ``POST /api/v2/alerts`` takes (Alertmanager's OpenAPI description, ``postableAlert``).

        Args:
            starts_at: since when; None leaves it to Alertmanager, which knows whether the alert fires already.
            ends_at: until when it fires without being posted again; in the past: it is resolved.
            runbooks_url: see :func:`runbook_of`.
        """
        told = {"summary": self.summary, "action": self.action, "runbook_url": runbook_of(self.name, runbooks_url)}
        body: dict[str, Any] = {
            "labels": self.identity,
            "annotations": {**self.annotations, **told},
            "endsAt": ends_at.isoformat(),
        }
        if starts_at is not None:
            body["startsAt"] = starts_at.isoformat()
        return body
