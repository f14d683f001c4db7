"""What flows tell: drift, the gate's decision, a rollback, and that a run ended well.

Each leaves the figures that the rules in ``monitoring/prometheus/rules`` watch, and posts or resolves the alert itself,
with the labels and the words of the rule. So Alertmanager takes the two for one alert: it comes at once, and it stays
when a post was lost or Alertmanager started anew, which forgets alerts, until the next run says otherwise. None of
these functions raises.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from tastemaker.observability.alert import Alert
from tastemaker.observability.alerts import Outcome, post_alert, resolve_alert
from tastemaker.observability.figures import note
from tastemaker.observability.flow_alerts import drift_alert, gate_alert, rollback_alert
from tastemaker.settings import Settings

__all__ = [
    "tell_drift",
    "tell_gate",
    "tell_rollback",
    "tell_success",
]

_LOG = logging.getLogger(__name__)
_SHOWN = 8
ROLLBACK_SHOWN = timedelta(hours=1)


def tell_drift(
    settings: Settings,
    kind: str,
    *,
    drifted: Sequence[str],
    compared: int,
    alarm: bool,
    error: str = "",
    report: str = "",
    lasts: timedelta = timedelta(hours=26),
) -> Outcome:
    """Tell the outcome of a comparison: ``Drift`` fires, or is resolved.

    Args:
        settings: see :func:`~tastemaker.observability.alerts.post_alert`.
        kind: what was compared: ``features``, ``predictions``, ``target``, ``quality``.
        drifted: names of the columns that drifted.
        compared: how many columns were.
        alarm: whether it is too much, by the limits of whoever compared.
        error: why nothing could be compared; an alarm as well.
        report: link to the report.
        lasts: beyond the next comparison.
    """
    share = len(drifted) / compared if compared else 0.0
    fires = alarm or bool(error)
    _note(settings, "tastemaker_drifted", float(fires), kind=kind)
    _note(settings, "tastemaker_drift_share", share, kind=kind)
    _note(settings, "tastemaker_drift_checked_timestamp_seconds", time.time(), kind=kind)
    if not fires:
        return resolve_alert(settings, drift_alert(kind))
    shown = ", ".join(drifted[:_SHOWN]) + (f" and {len(drifted) - _SHOWN} more" if len(drifted) > _SHOWN else "")
    summary = f"{kind}: {error}" if error else f"{kind}: {len(drifted)} of {compared} columns drifted: {shown}"
    return _post(settings, drift_alert(kind, summary, f"report: {report}" if report else ""), kind, lasts)


def tell_gate(
    settings: Settings,
    policy: str,
    *,
    release: str,
    passed: bool,
    reasons: Sequence[str] = (),
    lasts: timedelta = timedelta(hours=26),
) -> Outcome:
    """Tell the gate's decision on a candidate: ``GateBlocked`` fires, or is resolved.

    Args:
        settings: see :func:`~tastemaker.observability.alerts.post_alert`.
        policy: that judged.
        release: the candidate; in the text, not in the labels.
        passed: whether it may go live.
        reasons: of each check that does not let it pass.
        lasts: beyond the next decision.
    """
    _note(settings, "tastemaker_gate_blocked", float(not passed), policy=policy)
    _note(settings, "tastemaker_gate_decided_timestamp_seconds", time.time(), policy=policy)
    if passed:
        return resolve_alert(settings, gate_alert(policy))
    summary = f"{release} may not go live by the policy {policy}: {'; '.join(reasons) or 'see the verdict'}"
    return _post(settings, gate_alert(policy, summary, f"candidate: {release}"), policy, lasts)


def tell_rollback(settings: Settings, target: str, *, release: str, restored: str, reason: str) -> Outcome:
    """Tell that a release was taken back; ``ReleaseRolledBack`` fires for an hour.

    Args:
        settings: see :func:`~tastemaker.observability.alerts.post_alert`.
        target: where: ``local``, ``kserve``.
        release: that was taken back.
        restored: that serves now.
        reason: why, in words.
    """
    _note(settings, "tastemaker_rollback_timestamp_seconds", time.time(), target=target)
    summary = f"{release} was taken back on {target}, {restored} serves again: {reason}"
    alert = rollback_alert(target, summary, f"taken back: {release}, serves: {restored}")
    return _post(settings, alert, target, ROLLBACK_SHOWN)


def tell_success(settings: Settings, flow: str, *, due: timedelta, at_s: Callable[[], float] = time.time) -> None:
    """Tell that a flow ended well; when the next success is late, ``MissingRetrain`` or ``MissingRun`` fires.

    Args:
        settings: whose home has the figures.
        flow: its name; ``train`` is the one of ``MissingRetrain``.
        due: within how long the next success is due: the interval of the schedule, and some room.
        at_s: the machine's clock, in seconds since the epoch.
    """
    _note(settings, "tastemaker_flow_last_success_timestamp_seconds", at_s(), flow=flow)
    _note(settings, "tastemaker_flow_due_seconds", due.total_seconds(), flow=flow)


def _post(settings: Settings, alert: Alert, of: str, lasts: timedelta) -> Outcome:
    """Post an alert, and leave its words for the rule."""
    words = {"summary": alert.summary, "details": alert.annotations["details"]}
    _note(settings, "tastemaker_told_timestamp_seconds", time.time(), alert=alert.name, of=of, **words)
    return post_alert(settings, alert, lasts=lasts)


def _note(settings: Settings, name: str, value: float, **labels: str) -> None:
    try:
        note(settings, name, value, **labels)
    except OSError as error:  # the alert itself still goes out
        _LOG.error("the figure %s cannot be written: %s", name, error)
