"""Tell on-call: alerts go from flows straight to Alertmanager, and wait on disk while it is away.

A flow never fails because of an alert. Posted directly, an alert is at its receiver a second later (and the time that
its group waits); a flow is too short for Prometheus to watch it.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import httpx

from tastemaker.errors import StackError
from tastemaker.observability.alert import Alert
from tastemaker.observability.alertmanager import Alertmanager
from tastemaker.observability.outbox import Waiting, keep, send_kept, utc_now, waiting
from tastemaker.settings import Settings

__all__ = ["Outcome", "outbox_dir", "post_alert", "resolve_alert", "send_waiting", "waiting_alerts"]

_LOG = logging.getLogger(__name__)

Outcome = Literal["sent", "kept", "off"]
_ATTEMPTS = 3


def post_alert(
    settings: Settings,
    alert: Alert,
    *,
    lasts: timedelta = timedelta(hours=26),
    now: Callable[[], datetime] = utc_now,
    pause: Callable[[float], object] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> Outcome:
    """Say that something is wrong. Never raises: what cannot be said is logged, and kept to be sent later.

    The same alert posted again, while it fires, lengthens it and replaces its annotations; on-call gets no second
    notification before the repeat interval.

    Args:
        settings: where Alertmanager is (``settings.alertmanager``), and the home that keeps what it cannot be told.
        alert: what is wrong.
        lasts: for how long it fires without being posted again: beyond the next run of whoever posts it, because
            Alertmanager takes an alert that is not posted again for resolved. A day and two hours fit a daily run.
        now: the machine's clock, not the platform's.
        pause: takes the seconds between attempts.
        transport: of httpx, for tests.

    Returns:
        ``sent``; ``kept`` on disk, to be sent with the next alert, by the stack's exporter within half a minute, or by
        `tastemaker alerts send`; ``off``: there is no Alertmanager, and the log alone has it.
    """
    at = now()
    _LOG.warning("alert %s: %s; %s", alert.identity, alert.summary, alert.action)
    return _tell(settings, Waiting(alert=alert, firing=True, at=at, ends_at=at + lasts), now, pause, transport)


def resolve_alert(
    settings: Settings,
    alert: Alert,
    *,
    now: Callable[[], datetime] = utc_now,
    pause: Callable[[float], object] = time.sleep,
    transport: httpx.BaseTransport | None = None,
) -> Outcome:
    """Say that something is right again; of an alert that does not fire, nobody hears.

    Args:
        settings: as in :func:`post_alert`.
        alert: with the labels of the one that fires; the rest may differ.
        now: the machine's clock.
        pause: takes the seconds between attempts.
        transport: of httpx, for tests.

    Returns:
        As :func:`post_alert`; it never raises either.
    """
    at = now()
    return _tell(settings, Waiting(alert=alert, firing=False, at=at, ends_at=at), now, pause, transport)


def send_waiting(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    transport: httpx.BaseTransport | None = None,
) -> int:
    """Send what was kept while Alertmanager was away, with one attempt.

    Returns:
        How many alerts were sent.

    Raises:
        StackError: there is no Alertmanager, or it does not answer; they still wait.
    """
    if not settings.alertmanager:
        raise StackError("there is no Alertmanager; run `tastemaker up --monitoring`, or set ALERTMANAGER_URL")
    return _send(settings, 1, now, lambda _: None, transport)


def waiting_alerts(settings: Settings) -> list[Waiting]:
    """What waits to be sent, the oldest first."""
    return waiting(outbox_dir(settings))


def outbox_dir(settings: Settings) -> Path:
    """Where alerts wait."""
    return settings.observability_dir / "waiting"


def _tell(
    settings: Settings,
    item: Waiting,
    now: Callable[[], datetime],
    pause: Callable[[float], object],
    transport: httpx.BaseTransport | None,
) -> Outcome:
    if not settings.alertmanager:
        return "off"
    try:
        # Written before it is sent: a process that is killed in between has not lost it.
        path = keep(outbox_dir(settings), item)
    except OSError as error:
        _LOG.error("the alert %s cannot be written: %s", item.alert.identity, error)
        return "off"
    try:
        _send(settings, _ATTEMPTS, now, pause, transport)
    except Exception as error:  # whatever it is, whoever tells on-call has other work to finish
        _LOG.error("the alert %s waits in %s: %s", item.alert.identity, path, error)
        return "kept"
    return "sent"


def _send(
    settings: Settings,
    attempts: int,
    now: Callable[[], datetime],
    pause: Callable[[float], object],
    transport: httpx.BaseTransport | None,
) -> int:
    client = Alertmanager(settings.alertmanager, transport=transport)
    try:
        return send_kept(
            outbox_dir(settings), client, attempts=attempts, pause=pause, now=now, runbooks_url=settings.runbooks_url
        )
    finally:
        client.close()
