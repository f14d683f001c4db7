"""The checks of a gate: each takes its limits and the evidence, and says what it found and what to do.

A new check is a limits class and a key in ``policy.py``, a function here, and a line in ``CHECKS``.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tastemaker.evaluation.report import EvaluationReport
from tastemaker.promotion import policy
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.lineage import UNKNOWN
from tastemaker.promotion.verdict import CheckResult

__all__ = ["CHECKS"]


def _data_volume(limits: policy.DataVolumeLimits, evidence: Evidence) -> CheckResult:
    users = evidence.evaluation.users if evidence.evaluation else 0
    short = evidence.events < limits.min_events, users < limits.min_test_users
    return CheckResult(
        name="data_volume",
        status="not_enough_data" if any(short) else "pass",
        summary=f"{evidence.events:,} training events (at least {limits.min_events:,}),"
        f" {users:,} test users (at least {limits.min_test_users:,})",
        value=evidence.events if short[0] or not short[1] else users,
        limit=limits.min_events if short[0] or not short[1] else limits.min_test_users,
        remedy="import more history, or move the cut earlier so that the test window holds more users"
        if any(short)
        else "",
    )


def _quality_lift(limits: policy.QualityLiftLimits, evidence: Evidence) -> CheckResult:
    name = "quality_lift"
    report = evidence.evaluation
    best = report.best_baseline(limits.metric) if report else None
    if report is None or best is None:
        return _unmeasured(name, "no comparison with a baseline", "evaluate the release next to the baselines")
    lift = report.differences[best][limits.metric]
    passed = lift.low > limits.min_lower_bound
    theirs, ours = report.models[best][limits.metric].value, report.models[report.reference][limits.metric].value
    return CheckResult(
        name=name,
        status="pass" if passed else "fail",
        summary=f"{limits.metric}@{report.k} {ours:.4f}, the best baseline ({best}) {theirs:.4f}",
        value=lift.value,
        limit=limits.min_lower_bound,
        low=lift.low,
        high=lift.high,
        remedy=""
        if passed
        else f"the release is not shown to be better than {best}: compare its features and parameters with the"
        " champion's, train on more data, or test on more users if the interval is wide",
    )


def _non_inferiority(limits: policy.NonInferiorityLimits, evidence: Evidence) -> CheckResult:
    name = "non_inferiority"
    if evidence.champion is None:
        return CheckResult(name=name, status="pass", summary="there is no champion yet")
    report = evidence.evaluation
    if report is None or report.champion is None or report.champion not in report.models:
        return _unmeasured(
            name,
            f"the champion {evidence.champion} was not evaluated on the same users",
            "evaluate the champion next to the release",
        )
    theirs = report.models[report.champion][limits.metric].value
    difference = report.differences[report.champion][limits.metric]
    bound = -limits.margin * theirs
    passed = difference.low > bound
    return CheckResult(
        name=name,
        status="pass" if passed else "fail",
        summary=f"{limits.metric}@{report.k} against the champion {evidence.champion} ({theirs:.4f}), with a margin of"
        f" {limits.margin:.1%}",
        value=difference.value,
        limit=bound,
        low=difference.low,
        high=difference.high,
        remedy="" if passed else "the release may be worse than the champion: keep the champion, and find what changed",
    )


def _coverage(limits: policy.CoverageLimits, evidence: Evidence) -> CheckResult:
    name = "coverage"
    report: EvaluationReport | None = evidence.evaluation
    if report is None or report.reference not in report.coverage:
        return _unmeasured(name, "no lists were evaluated", "evaluate the release")
    share = report.coverage[report.reference]
    passed = share >= limits.min_share
    return CheckResult(
        name=name,
        status="pass" if passed else "fail",
        summary=f"the lists use {share:.1%} of {report.items:,} items",
        value=share,
        limit=limits.min_share,
        remedy=""
        if passed
        else "the lists show too few items: check the candidate sources and the ranker for collapse",
    )


def _drift(limits: policy.DriftShareLimits, evidence: Evidence) -> CheckResult:
    name = "drift"
    summary = evidence.drift
    if summary is None or summary.error or not summary.checked:
        # Fails closed: without a report nobody knows whether the features still mean what they meant.
        reason = "there is no report" if summary is None else summary.error or "no column was checked"
        return CheckResult(
            name=name,
            status="fail",
            summary=f"drift is unknown: {reason}",
            limit=limits.max_share,
            remedy="make the drift report run: it needs rows of the ranking features at two times",
        )
    passed = summary.share <= limits.max_share
    named = ", ".join(summary.drifted[:8]) + (" …" if len(summary.drifted) > 8 else "")
    return CheckResult(
        name=name,
        status="pass" if passed else "fail",
        summary=f"{len(summary.drifted)} of {summary.checked} columns drifted" + (f": {named}" if named else ""),
        value=summary.share,
        limit=limits.max_share,
        remedy=""
        if passed
        else "open the drift report; if the data are right, train on newer data, else repair their source",
    )


def _train_serve_parity(limits: policy.ParityLimits, evidence: Evidence) -> CheckResult:
    name = "train_serve_parity"
    parity = evidence.parity
    if parity is None or not parity.rows or not parity.columns:
        return _unmeasured(
            name, "training and serving features were not compared", "compare them on the release's test users"
        )
    passed = parity.max_difference <= limits.max_difference and not parity.one_sided
    found = f"{parity.rows:,} rows × {parity.columns} features: at most {parity.max_difference:.2g} apart"
    if parity.one_sided:
        found += f", {parity.one_sided:,} values on one side alone"
    return CheckResult(
        name=name,
        status="pass" if passed else "fail",
        summary=found,
        value=parity.max_difference,
        limit=limits.max_difference,
        remedy=""
        if passed
        else f"rebuild the online store from the lake; the feature furthest apart is {parity.worst}",
    )


def _lineage(limits: policy.LineageLimits, evidence: Evidence) -> CheckResult:
    name = "lineage"
    lineage = evidence.lineage
    if lineage is None:
        return CheckResult(name=name, status="fail", summary="there is none", remedy="collect it when training")
    absent = [
        part
        for part, there in {
            "data range": lineage.data_from < lineage.data_to,
            "lake versions": bool(lineage.lake_versions),
            "code hash": bool(lineage.code_hash),
            "parameters": bool(lineage.parameters),
            "feature plan": bool(lineage.plan_hash),
            "git commit": lineage.code_commit not in {"", UNKNOWN} or not limits.require_commit,
            "files": bool(evidence.files),
        }.items()
        if not there
    ]
    commit = lineage.code_commit if lineage.code_commit == UNKNOWN else lineage.code_commit[:12]
    note = f" ({lineage.code_note})" if lineage.code_note else ""
    return CheckResult(
        name=name,
        status="fail" if absent else "pass",
        summary=f"lacks {', '.join(absent)}"
        if absent
        else f"data {lineage.data_from:%Y-%m-%d} to {lineage.data_to:%Y-%m-%d}, commit {commit}{note}",
        remedy=f"train again where {', '.join(absent)} can be recorded" if absent else "",
    )


def _unmeasured(name: str, summary: str, remedy: str) -> CheckResult:
    return CheckResult(name=name, status="not_enough_data", summary=summary, remedy=remedy)


# By the policy's key; each is called with that key's limits.
CHECKS: Mapping[str, Callable[[Any, Evidence], CheckResult]] = {
    "data_volume": _data_volume,
    "quality_lift": _quality_lift,
    "non_inferiority": _non_inferiority,
    "coverage": _coverage,
    "drift": _drift,
    "train_serve_parity": _train_serve_parity,
    "lineage": _lineage,
}
