"""The alerts that flows post, and the one that a person tries the way with.

Labels and words are those of the rules in ``monitoring/prometheus/rules``: what is posted and what a rule finds must be
one alert to Alertmanager.
"""

from tastemaker.observability.alert import Alert, Severity

__all__ = ["alert_of_a_test", "drift_alert", "failed_alert", "gate_alert", "rollback_alert"]


def drift_alert(kind: str, summary: str = "", details: str = "") -> Alert:
    """The alert ``Drift`` of one kind of comparison."""
    return Alert(
        name="Drift",
        severity="ticket",
        owner="ml",
        component="flows",
        labels={"kind": kind},
        summary=summary or f"{kind}: what is served now differs from what the release learned from",
        action="Open the drift report, find the cause upstream, then retrain or correct the source.",
        annotations={"details": details},
    )


def failed_alert(flow: str, summary: str = "", **annotations: str) -> Alert:
    """The alert ``FlowFailed`` of one flow."""
    return Alert(
        name="FlowFailed",
        severity="ticket",
        owner="ml",
        component="flows",
        labels={"flow": flow},
        summary=summary or f"the last run of the flow {flow} failed",
        action="Open the run: its log and the state of each task say why. A retry goes on from what is kept.",
        annotations=annotations,
    )


def gate_alert(policy: str, summary: str = "", details: str = "") -> Alert:
    """The alert ``GateBlocked`` of one policy."""
    return Alert(
        name="GateBlocked",
        severity="ticket",
        owner="ml",
        component="flows",
        labels={"policy": policy},
        summary=summary or f"the policy {policy} blocked the last candidate; the champion goes on serving",
        action="Read the verdict: tastemaker releases show. Each check says what would let it pass.",
        annotations={"details": details},
    )


def rollback_alert(target: str, summary: str = "", details: str = "") -> Alert:
    """The alert ``ReleaseRolledBack`` of one target, such as ``local`` or ``kserve``."""
    return Alert(
        name="ReleaseRolledBack",
        severity="ticket",
        owner="ml",
        component="recommender",
        labels={"target": target},
        summary=summary or f"a release was taken back on {target}; the one before serves",
        action="Check that the former release serves, then find out why from the evidence of the rollout.",
        annotations={"details": details},
    )


def alert_of_a_test(severity: Severity) -> Alert:
    """The alert ``TestAlert``, which tries the way to the receivers of a severity."""
    return Alert(
        name="TestAlert",
        severity=severity,
        owner="whoever sent it",
        component="none",
        summary="a test of the way to the receivers; nothing is wrong",
        action="Nothing, except to tell whoever sent it that it arrived.",
    )
