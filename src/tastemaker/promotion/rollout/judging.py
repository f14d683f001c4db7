"""What the figures of a step say: go on to the next one, wait, or go back."""

import math
from typing import Final, Literal

import msgspec
import numpy as np

from tastemaker.promotion.rollout.figures import BAD, Figures
from tastemaker.promotion.rollout.policy import RateGuardrail, RolloutPolicy, SlowGuardrail
from tastemaker.promotion.rollout.sequential import (
    Difference,
    affected,
    below,
    difference_of_rates,
    interval,
    log_ratio_of_rates,
)

__all__ = ["Finding", "Judgement", "judge"]

Action = Literal["advance", "wait", "rollback"]

_MIN_OUTCOMES: Final = 20  # below, a rate's logarithm is far from normal
_WORDS: Final = {"errors": "an error", "empty_lists": "an empty list", "tiers": "a list of a lower tier"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One guardrail.

    Attributes:
        name: as in the policy.
        status: ``worse``: the candidate is; ``fine``: no sign of it; ``unknown``: too little was seen to judge.
        summary: in words.
        evidence: how many times likelier the figures are if the candidate is worse; ``limit`` of it rolls back.
        limit: of the evidence.
        low: lower end of the interval of the difference, valid at all looks, where there is one.
        high: upper end.
    """

    name: str
    status: Literal["worse", "fine", "unknown"]
    summary: str
    evidence: float
    limit: float
    low: float | None = None
    high: float | None = None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        action: what the figures say.
        reason: why, in a line.
        findings: guardrail by guardrail.
        requests: lists of both releases that shoppers saw in this step.
        by_candidate: lists of the candidate's shoppers, and those of it that nobody saw.
    """

    action: Action
    reason: str
    findings: tuple[Finding, ...]
    requests: int
    by_candidate: int


def judge(policy: RolloutPolicy, step: int, figures: Figures, minutes: float) -> Judgement:
    """Judge a step; may be asked as often as one likes, see :mod:`tastemaker.promotion.rollout.sequential`.

    Args:
        policy: the rollout's.
        step: its place among the policy's.
        figures: of the step, from its beginning.
        minutes: since it began.
    """
    wanted = policy.steps[step]
    part = policy.part_of_alpha(step)
    findings: list[Finding] = []
    for name in BAD:
        rare = getattr(policy.guardrails, name)
        if rare is not None:
            findings.append(_rare(name, figures, wanted.share, rare.alpha * part))
    ruled_out: str | None = None
    if wanted.share > 0:
        guardrails = policy.guardrails
        if guardrails.latency is not None:
            findings.append(_slow(figures, guardrails.latency, part, policy.min_users))
        for name, outcome, rate in (("clicks", "clicked", guardrails.clicks), ("carts", "carted", guardrails.carts)):
            if rate is not None:
                findings.append(_rate(name, outcome, figures, rate, part, policy.min_users))
        if wanted.max_drop is not None and guardrails.clicks is not None:
            ruled_out = _not_ruled_out(figures, wanted.max_drop, guardrails.clicks, policy)
    worse = [finding for finding in findings if finding.status == "worse"]
    if worse:
        return _judgement("rollback", "; ".join(finding.summary for finding in worse), findings, figures)
    waiting = []
    if minutes < wanted.min_minutes:
        waiting.append(f"{minutes:.0f} of {wanted.min_minutes:g} minutes")
    if figures.by_candidate < wanted.min_lists:
        waiting.append(f"{figures.by_candidate:,} of {wanted.min_lists:,} lists")
    if ruled_out:
        waiting.append(ruled_out)
    if waiting:
        return _judgement("wait", "; ".join(waiting), findings, figures)
    return _judgement("advance", f"nothing got worse in {figures.by_candidate:,} lists", findings, figures)


def _judgement(action: Action, reason: str, findings: list[Finding], figures: Figures) -> Judgement:
    return Judgement(
        action=action,
        reason=reason,
        findings=tuple(findings),
        requests=figures.requests,
        by_candidate=figures.by_candidate,
    )


def _rare(name: str, figures: Figures, share: float, alpha: float) -> Finding:
    limit = 1.0 / alpha
    met = figures.bad[name]
    counts = [int(met[figures.candidate].sum()), int(met[~figures.candidate].sum())]
    evidence = affected(counts[0], counts[1], share) if 0 < share < 1 else 0.0
    shadow = figures.shadow
    pairs = [shadow.worse.get(name, 0), shadow.better.get(name, 0)]
    # Of a shopper's first pair of lists of which one alone is bad, either is with the same chance if the two are alike.
    evidence = max(evidence, affected(pairs[0], pairs[1], 0.5)) - (math.log(2.0) if share > 0 and shadow.lists else 0.0)
    told = f"{counts[0]:,} of the candidate's shoppers met {_WORDS[name]}, and {counts[1]:,} of the champion's"
    if shadow.lists:
        told = (
            f"{_WORDS[name]} for {pairs[0]:,} shoppers by the candidate alone, for {pairs[1]:,} by the champion alone"
        )
    return _finding(name, told, evidence, limit, bool(sum(counts) or sum(pairs)) or figures.by_candidate > 0)


def _slow(figures: Figures, guardrail: SlowGuardrail, part: float, min_users: int) -> Finding:
    limit = 1.0 / (guardrail.alpha * part)
    candidate, champion = _sides(figures, "slow")
    if min(len(candidate[1]), len(champion[1])) < min_users:
        return _finding("latency", "too few shoppers", 0.0, limit, False)
    found = difference_of_rates(candidate, champion)
    slower = Difference(-found.value, found.variance)
    evidence = below(slower, -guardrail.tolerance, guardrail.scale)
    low, high = interval(found, guardrail.alpha * part, guardrail.scale)
    told = (
        f"{_share(candidate):.2%} of the candidate's lists took over {guardrail.over_ms:g} ms, and"
        f" {_share(champion):.2%} of the champion's"
    )
    return _finding("latency", told, evidence, limit, True, low, high)


def _rate(  # noqa: PLR0917
    name: str, outcome: str, figures: Figures, guardrail: RateGuardrail, part: float, min_users: int
) -> Finding:
    limit = 1.0 / (guardrail.alpha * part)
    candidate, champion = _sides(figures, outcome)
    if not _enough(candidate, champion, min_users):
        return _finding(name, f"too few shoppers, or of their {name}", 0.0, limit, False)
    found = log_ratio_of_rates(candidate, champion)
    evidence = below(found, math.log1p(-guardrail.tolerance), guardrail.scale)
    low, high = (math.expm1(min(end, 700.0)) for end in interval(found, guardrail.alpha * part, guardrail.scale))
    told = (
        f"{name} in {_share(candidate):.2%} of the candidate's lists and {_share(champion):.2%} of the champion's,"
        f" {math.expm1(found.value):+.1%} (from {low:+.1%} to {high:+.1%})"
    )
    return _finding(name, told, evidence, limit, True, low, high)


def _not_ruled_out(figures: Figures, drop: float, guardrail: RateGuardrail, policy: RolloutPolicy) -> str | None:
    """What is missing to rule a drop out; None where nothing is."""
    candidate, champion = _sides(figures, "clicked")
    said = f"a drop of the click rate by {drop:.0%} is not ruled out yet"
    if not _enough(candidate, champion, policy.min_users):
        return said
    found = log_ratio_of_rates(candidate, champion)
    above = below(Difference(-found.value, found.variance), -math.log1p(-drop), max(guardrail.scale, drop))
    return None if above >= math.log(1.0 / policy.sure) else said


def _sides(figures: Figures, outcome: str) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    happened, lists = figures.outcomes[outcome].astype(float), figures.lists.astype(float)
    ours = figures.candidate
    return (happened[ours], lists[ours]), (happened[~ours], lists[~ours])


def _enough(candidate: tuple[np.ndarray, np.ndarray], champion: tuple[np.ndarray, np.ndarray], min_users: int) -> bool:
    """Whether there would be enough outcomes if the candidate had the champion's rate; it may have none at all."""
    users = min(len(candidate[1]), len(champion[1]))
    happened = float(champion[0].sum())
    expected = happened * float(candidate[1].sum()) / max(1.0, float(champion[1].sum()))
    return users >= min_users and min(happened, expected) >= _MIN_OUTCOMES


def _share(side: tuple[np.ndarray, np.ndarray]) -> float:
    return float(side[0].sum() / max(1.0, side[1].sum()))


def _finding(  # noqa: PLR0917
    name: str,
    told: str,
    log_evidence: float,
    limit: float,
    known: bool,
    low: float | None = None,
    high: float | None = None,
) -> Finding:
    worse = log_evidence >= math.log(limit)
    return Finding(
        name=name,
        status="worse" if worse else "fine" if known else "unknown",
        summary=told,
        evidence=math.exp(min(log_evidence, 700.0)),
        limit=limit,
        low=low if low is not None and math.isfinite(low) else None,
        high=high if high is not None and math.isfinite(high) else None,
    )
