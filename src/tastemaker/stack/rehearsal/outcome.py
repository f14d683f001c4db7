"""How an act ended, and a verdict in the words of the timeline."""

from dataclasses import dataclass

from tastemaker.promotion.verdict import Verdict

__all__ = ["Outcome", "checks_told"]

_SAID = {"pass": "passed", "fail": "FAILED", "not_enough_data": "cannot tell"}


@dataclass(frozen=True)
class Outcome:
    """How an act ended.

    Attributes:
        title: the act.
        held: whether it ended as it has to.
        evidence: what was seen, a line each.
        links: where to look, while the stack runs.
    """

    title: str
    held: bool
    evidence: tuple[str, ...]
    links: tuple[str, ...] = ()


def checks_told(verdict: Verdict) -> list[str]:
    """A line for each check that does not let a release pass, or for all of one that passed."""
    shown = verdict.failures or verdict.checks
    rest = len(verdict.checks) - len(shown)
    lines = [f"gate {verdict.policy}: {check.name} {_SAID[check.status]}: {check.summary}" for check in shown]
    return lines + ([f"gate {verdict.policy}: {rest} other checks passed"] if rest else [])
