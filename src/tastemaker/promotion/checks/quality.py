"""Checks of quality: against the best baseline and the champion, for all shoppers and for the worst-off segment."""

from tastemaker.promotion import policy_limits as policy
from tastemaker.promotion.checks.outcome import decided, unmeasured
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.list_conduct import SegmentQuality
from tastemaker.promotion.verdict import CheckResult

__all__ = ["baseline_quality", "champion_quality", "cold_start", "worst_segment"]


def baseline_quality(limits: policy.QualityLimits, evidence: Evidence) -> CheckResult:
    """Against the baseline that does best by the metric."""
    report = evidence.evaluation
    best = report.best_baseline(limits.metric) if report else None
    if best is None:
        return unmeasured(
            "baseline_quality", "no comparison with a baseline", "evaluate the release next to the baselines"
        )
    return _compared(
        "baseline_quality",
        limits,
        evidence,
        best,
        words=f"the best baseline ({best})",
        remedy=f"the release is not shown to be good enough beside {best}: compare its features and parameters with the"
        " champion's, train on more data, or test on more users if the interval is wide",
    )


def champion_quality(limits: policy.QualityLimits, evidence: Evidence) -> CheckResult:
    """Against the release in production; a pass while there is none."""
    name, report = "champion_quality", evidence.evaluation
    if evidence.champion is None:
        return CheckResult(name=name, status="pass", summary="there is no champion yet")
    if report is None or report.champion is None or report.champion not in report.models:
        return unmeasured(
            name,
            f"the champion {evidence.champion} was not evaluated on the same users",
            "evaluate the champion next to the release",
        )
    return _compared(
        name,
        limits,
        evidence,
        report.champion,
        words=f"the champion {evidence.champion}",
        remedy="the release may be worse than the champion: keep the champion, and find what changed",
    )


def _compared(
    name: str, limits: policy.QualityLimits, evidence: Evidence, other: str, *, words: str, remedy: str
) -> CheckResult:
    report = evidence.evaluation
    assert report is not None
    theirs, ours = report.models[other][limits.metric].value, report.models[report.reference][limits.metric].value
    difference = report.differences[other][limits.metric]
    bound = limits.margin * theirs * (1 if limits.mode == "superiority" else -1)
    return decided(
        name,
        difference.low > bound,
        f"{limits.metric}@{report.k} {ours:.4f}, {words} {theirs:.4f}; {limits.mode.replace('_', '-')} with a margin of"
        f" {limits.margin:.1%}",
        remedy,
        value=difference.value,
        limit=bound,
        low=difference.low,
        high=difference.high,
    )


def worst_segment(limits: policy.SegmentLimits, evidence: Evidence) -> CheckResult:
    """Whether any segment of shoppers is shown to be worse off than now."""
    segments = evidence.conduct.segments if evidence.conduct else ()
    return _segments("worst_segment", limits, [one for one in segments if not one.cold])


def cold_start(limits: policy.ColdStartLimits, evidence: Evidence) -> CheckResult:
    """The same for shoppers of whom little or nothing is known."""
    segments = evidence.conduct.segments if evidence.conduct else ()
    return _segments("cold_start", limits, [one for one in segments if one.cold])


def _segments(name: str, limits: policy.SegmentLimits, found: list[SegmentQuality]) -> CheckResult:
    """Fails by evidence of a loss, not by lack of evidence against one: a small segment's interval is always wide."""
    large = [one for one in found if one.users >= limits.min_users]
    if not large:
        return unmeasured(
            name,
            f"no segment of at least {limits.min_users} test users was evaluated",
            "evaluate on a longer window, or lower min_users",
        )
    worst = min(large, key=lambda one: one.difference.high + limits.margin * one.theirs)
    bound = -limits.margin * worst.theirs
    return decided(
        name,
        worst.difference.high >= bound,
        f"{worst.segment} ({worst.users:,} of the test users): ndcg {worst.ours:.4f}, {worst.against}"
        f" {worst.theirs:.4f}; the worst of {len(large)} segments",
        f"these shoppers get worse lists than from {worst.against}: look at their features and candidates, and at what"
        " they have in common",
        value=worst.difference.value,
        limit=bound,
        low=worst.difference.low,
        high=worst.difference.high,
    )
