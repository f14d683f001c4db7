"""Checks of where the release comes from: leaks in its features, lineage and licences."""

from tastemaker.promotion import policy_limits as policy
from tastemaker.promotion.checks.outcome import decided, unmeasured
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.lineage import UNKNOWN
from tastemaker.promotion.verdict import CheckResult

__all__ = ["leaks", "lineage"]


def leaks(limits: policy.LeakCheckLimits, evidence: Evidence) -> CheckResult:
    """Whether a feature knows the label, by a check that is proven to see it."""
    found = evidence.leaks
    if found is None or found.features < limits.min_features:
        looked = 0 if found is None else found.features
        return unmeasured(
            "leaks",
            f"{looked} features were checked for leaks; at least {limits.min_features} are needed",
            "train where more shoppers bought something in the label window",
        )
    if limits.require_planted and found.planted_found is None:
        return unmeasured("leaks", "no leak was planted to prove the check", "run the leak check with a planted leak")
    blind = limits.require_planted and not found.planted_found
    words = f"{found.features} features, none knows the label; {found.best} tells most (AUC {found.auc or 0:.3f})"
    if found.planted_found:
        words += "; a planted leak was found"
    if found.leaking:
        words = "; ".join(found.leaking)
    elif blind:
        words = "the check did not find a leak that was planted for it"
    return decided(
        "leaks",
        not found.leaking and not blind,
        words,
        "look at the time of these features' source rows, and train again"
        if found.leaking
        else "the check is blind on this data: look at the labels that it was given",
        value=found.auc,
    )


def lineage(limits: policy.LineageLimits, evidence: Evidence) -> CheckResult:
    """Whether it is known from which data, code and parameters the release came, and under which licences."""
    name = "lineage"
    found = evidence.lineage
    if found is None:
        return decided(name, False, "there is none", "collect it when training")
    licences = evidence.contents.licences if evidence.contents else {}
    absent = [
        part
        for part, there in {
            "data range": found.data_from < found.data_to,
            "lake versions": bool(found.lake_versions),
            "code hash": bool(found.code_hash),
            "parameters": bool(found.parameters),
            "feature plan": bool(found.plan_hash),
            "git commit": found.code_commit not in {"", UNKNOWN} or not limits.require_commit,
            "files": bool(evidence.files),
            "licence of the code": bool(licences.get("code")) or not limits.require_licences,
            "licence of the data": bool(licences.get("data")) or not limits.require_licences,
        }.items()
        if not there
    ]
    commit = found.code_commit if found.code_commit == UNKNOWN else found.code_commit[:12]
    note = f" ({found.code_note})" if found.code_note else ""
    known = "; ".join(f"{of}: {licence}" for of, licence in sorted(licences.items()) if licence)
    return decided(
        name,
        not absent,
        f"lacks {', '.join(absent)}"
        if absent
        else f"data {found.data_from:%Y-%m-%d} to {found.data_to:%Y-%m-%d}, commit {commit}{note}"
        + (f"; licences: {known}" if known else ""),
        f"train again where {', '.join(absent)} can be recorded; licences are read from LICENSE and data/README.md",
    )
