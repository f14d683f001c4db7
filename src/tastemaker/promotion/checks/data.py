"""Checks of what the release learned from, and of what it meets now."""

from collections.abc import Sequence

from tastemaker.evaluation.drift.summary import QUALITY_CHECKS, ColumnDrift, DriftSummary
from tastemaker.promotion import policy_limits as policy
from tastemaker.promotion.checks.outcome import decided, unmeasured
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.verdict import CheckResult

__all__ = ["data_quality", "data_volume", "drift"]

_RUN = "make the drift report run: it needs rows of the ranking features on reference days and in a window after them"


def data_volume(limits: policy.DataVolumeLimits, evidence: Evidence) -> CheckResult:
    """Whether there is enough to learn from and to be judged by."""
    users = evidence.evaluation.users if evidence.evaluation else 0
    short = evidence.events < limits.min_events, users < limits.min_test_users
    by_events = short[0] or not short[1]
    return CheckResult(
        name="data_volume",
        status="not_enough_data" if any(short) else "pass",
        summary=f"{evidence.events:,} training events (at least {limits.min_events:,}),"
        f" {users:,} test users (at least {limits.min_test_users:,})",
        value=evidence.events if by_events else users,
        limit=limits.min_events if by_events else limits.min_test_users,
        remedy="import more history, or move the cut earlier so that the test window holds more users"
        if any(short)
        else "",
    )


def data_quality(limits: policy.DataQualityLimits, evidence: Evidence) -> CheckResult:
    """Missing values, new categories, constant, empty and absent columns: signs of a broken source."""
    name, summary = "data_quality", evidence.drift
    if summary is None or summary.error or not summary.checked:
        return _unknown(name, summary, limits.max_columns)
    broken = [one for one in summary.columns if one.status == "drifted" and one.check in QUALITY_CHECKS]
    found = _columns(broken)
    return decided(
        name,
        len(found) <= limits.max_columns,
        f"{len(found)} of {summary.checked} columns broken" + _named(broken),
        "repair the source of these columns, or the features that read it, and train again; where the change is meant,"
        " train on data that has it",
        value=len(found),
        limit=limits.max_columns,
    )


def drift(limits: policy.DriftShareLimits, evidence: Evidence) -> CheckResult:
    """Whether the columns still have the distributions that the release learned from."""
    name, summary = "drift", evidence.drift
    if summary is None or summary.error or not summary.checked:
        return _unknown(name, summary, limits.max_share)
    rates = [one.calibration.false_alarm_rate for one in summary.groups if one.calibration is not None]
    if not rates or sum(rates) > limits.max_false_alarm_rate * (1 + 1e-9):
        said = f"at a false-alarm rate of {sum(rates):.3g}" if rates else "by no calibration"
        return unmeasured(
            name,
            f"the limits were set {said}; the policy asks for {limits.max_false_alarm_rate:.3g}",
            "measure drift with that false-alarm rate",
        )
    moved = [
        one
        for one in summary.columns
        if one.status == "drifted"
        and (one.check in QUALITY_CHECKS or one.value is None or one.value > limits.floors.get(one.column, 0.0))
    ]
    found = _columns(moved)
    share = len(found) / summary.checked
    return decided(
        name,
        share <= limits.max_share,
        f"{len(found)} of {summary.checked} columns drifted" + _named(moved),
        "open the drift report; if the data are right, train on newer data, or give the column a floor in the policy,"
        " else repair their source",
        value=share,
        limit=limits.max_share,
    )


def _unknown(name: str, summary: DriftSummary | None, limit: float) -> CheckResult:
    """Without a report nobody knows whether the features still mean what they meant: that fails, unless data lacks."""
    reason = "there is no report" if summary is None else summary.error or "no column was checked"
    if summary is not None and summary.shortage:
        return unmeasured(name, f"drift cannot be measured: {reason}", "wait for more days of data, or import more")
    return decided(name, False, f"drift is unknown: {reason}", _RUN, limit=limit)


def _columns(found: Sequence[ColumnDrift]) -> list[str]:
    return list(dict.fromkeys((one.group + one.column) for one in found))


def _named(found: Sequence[ColumnDrift]) -> str:
    """The worst first: how many times its limit each is."""
    ordered = sorted(found, key=lambda one: -(one.value or 0) / (one.limit or 1))
    names = list(dict.fromkeys(f"{one.label} {one.check}" for one in ordered))
    return (": " + ", ".join(names[:6]) + (" …" if len(names) > 6 else "")) if names else ""
