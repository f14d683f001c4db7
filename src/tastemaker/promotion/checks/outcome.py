"""How a check says what it found."""

from tastemaker.promotion.verdict import CheckResult

__all__ = ["decided", "unmeasured"]


def decided(
    name: str,
    passed: bool,
    summary: str,
    remedy: str,
    *,
    value: float | None = None,
    limit: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> CheckResult:
    """A pass or a failure; a pass needs no remedy."""
    return CheckResult(
        name=name,
        status="pass" if passed else "fail",
        summary=summary,
        value=value,
        limit=limit,
        low=low,
        high=high,
        remedy="" if passed else remedy,
    )


def unmeasured(name: str, summary: str, remedy: str) -> CheckResult:
    """Nobody can tell: not enough data."""
    return CheckResult(name=name, status="not_enough_data", summary=summary, remedy=remedy)
