"""Checks of what lists are like beside being right, and of the probabilities behind them."""

from tastemaker.evaluation.report import EvaluationReport
from tastemaker.promotion import policy_limits as policy
from tastemaker.promotion.checks.outcome import decided, unmeasured
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.verdict import CheckResult

__all__ = ["calibration", "coverage", "exposure", "popularity_bias"]

_EVALUATE = "evaluate the release on a window with test users"


def coverage(limits: policy.CoverageLimits, evidence: Evidence) -> CheckResult:
    """How much of the catalogue the lists use."""
    report: EvaluationReport | None = evidence.evaluation
    if report is None or report.reference not in report.coverage:
        return unmeasured("coverage", "no lists were evaluated", _EVALUATE)
    share = report.coverage[report.reference]
    return decided(
        "coverage",
        share >= limits.min_share,
        f"the lists use {share:.1%} of {report.items:,} items",
        "the lists show too few items: check the candidate sources and the ranker for collapse",
        value=share,
        limit=limits.min_share,
    )


def popularity_bias(limits: policy.PopularityLimits, evidence: Evidence) -> CheckResult:
    """How much more popular listed items are than what the same shoppers went on to buy."""
    found = evidence.conduct
    if found is None or found.popularity is None or found.bought_popularity is None:
        return unmeasured("popularity_bias", "the popularity of listed items was not measured", _EVALUATE)
    lift = found.popularity - found.bought_popularity
    return decided(
        "popularity_bias",
        lift <= limits.max_lift,
        f"listed items are more popular than {found.popularity:.1%} of the catalogue, bought ones than"
        f" {found.bought_popularity:.1%}",
        "the lists lean towards best-sellers: check the ranker's popularity features and the candidates by source",
        value=lift,
        limit=limits.max_lift,
    )


def exposure(limits: policy.ExposureLimits, evidence: Evidence) -> CheckResult:
    """Whether items get a fair share of the places, new ones too."""
    found = evidence.conduct
    if found is None or found.gini is None:
        return unmeasured("exposure", "how often items are listed was not measured", _EVALUATE)
    words = f"Gini coefficient of the places {found.gini:.3f}"
    words += f" (the fairest baseline {found.baseline_gini:.3f})" if found.baseline_gini is not None else ""
    fair, remedy = found.gini <= limits.max_gini, "few items take most places: widen the candidates, or diversify lists"
    if found.new_item_share is not None and found.new_bought_share:
        ratio = found.new_item_share / found.new_bought_share
        words += (
            f"; new items have {found.new_item_share:.2%} of the places and {found.new_bought_share:.2%} of the sales"
        )
        if ratio < limits.min_new_item_ratio:
            fair, remedy = False, "new items are hardly shown: check the source of new items, and content vectors"
    return decided("exposure", fair, words, remedy, value=found.gini, limit=limits.max_gini)


def calibration(limits: policy.CalibrationLimits, evidence: Evidence) -> CheckResult:
    """Whether the ranker's probabilities are as often right as they say."""
    found = evidence.conduct.probabilities if evidence.conduct else None
    if found is None or not found.pairs or not found.bought:
        return unmeasured(
            "calibration", "no probability was held against what happened", "evaluate on a window with purchases"
        )
    ratio = found.expected / found.bought
    apart = max(ratio, 1 / ratio) if ratio > 0 else float("inf")
    return decided(
        "calibration",
        found.error <= limits.max_error and apart <= limits.max_ratio,
        f"{found.pairs:,} listed items: {found.expected:,.0f} purchases foretold, {found.bought:,} happened; expected"
        f" calibration error {found.error:.4f}",
        "fit the ranker's calibration on newer lists: what it learned from bought more, or less, than shoppers do now",
        value=found.error,
        limit=limits.max_error,
    )
