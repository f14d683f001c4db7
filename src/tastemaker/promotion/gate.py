"""The gate: a policy and the evidence in, a verdict out."""

from datetime import datetime

from tastemaker.promotion.checks import CHECKS
from tastemaker.promotion.evidence import Evidence
from tastemaker.promotion.policy import GatePolicy
from tastemaker.promotion.verdict import Status, Verdict

__all__ = ["decide"]


def decide(policy: GatePolicy, evidence: Evidence, *, now: datetime, decided_by: str = "gate") -> Verdict:
    """Judge a release. Deterministic: the same policy and evidence give the same decision at any time.

    Args:
        policy: the checks and their limits.
        evidence: what is known of the release.
        now: the time that the verdict carries (UTC).
        decided_by: who or what decides.

    Returns:
        The verdict. A blocked release is a decision, not an exception.
    """
    checks = tuple(CHECKS[name](limits, evidence) for name, limits in policy.checks if limits is not None)
    outcomes = {check.status for check in checks}
    decision: Status = "fail" if "fail" in outcomes else "not_enough_data" if "not_enough_data" in outcomes else "pass"
    return Verdict(
        release=evidence.release,
        decision=decision,
        checks=checks,
        policy=policy.name,
        decided_by=decided_by,
        decided_at=now,
        champion=evidence.champion,
        judged={"policy": policy.digest(), **evidence.hashes()},
        approval=policy.approval,
    )
