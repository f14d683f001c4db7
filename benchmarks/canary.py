"""Rollouts of releases whose truth is known: are equal ones told apart, and is a worse one sent back?

Each simulated rollout goes through the shipped policy's steps, and is judged by the platform's own code after every few
hundred lists, as somebody would who never stops looking. Shoppers differ in how often they come and how much they
click, so lists of one shopper are not independent; the tests must cope with that.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.goal import Goal
from tastemaker.promotion.rollout.figures import BAD, Figures, Shadowed
from tastemaker.promotion.rollout.judging import judge
from tastemaker.promotion.rollout.policy import RolloutPolicy, load_policy

__all__ = ["run"]

_SEED: Final = 20_111_209
_ROLLOUTS: Final = 200
_USERS: Final = 20_000
_LISTS_PER_LOOK: Final = 500
_LISTS_PER_MINUTE: Final = 100.0
_MOST_LISTS: Final = 1_500_000
_CLICKS: Final = 0.10  # of a list, on average over shoppers
_ALIKE: Final = 20.0  # a shopper's own rate is Beta(2, 18): a standard deviation of 6.5 points, a correlation of .048
_VISITS: Final = 1.0  # standard deviation of the logarithm of how often shoppers come
_CARTS: Final = 0.2  # of the lists with a click
_SLOW: Final = 0.01
_RARE: Final = {"errors": 0.0005, "empty_lists": 0.002, "tiers": 0.005}


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended.

    Attributes:
        end: its end; ``stuck`` where no more lists came.
        requests: lists that shoppers saw until then, of both releases, the shadow's included.
        step: that it ended in.
        why: names of the guardrails that sent it back.
    """

    end: Literal["promoted", "rollback", "stuck"]
    requests: int
    step: str
    why: tuple[str, ...] = ()


class Shop:
    """Shoppers of one simulated rollout.

    Args:
        rng: draws everything.
        drop: by how much, relatively, the candidate's lists are clicked less.
    """

    def __init__(self, rng: np.random.Generator, drop: float) -> None:
        self._rng, self._drop = rng, drop
        weights = rng.lognormal(0.0, _VISITS, _USERS)
        self._often = np.cumsum(weights / weights.sum())
        self._clicks = rng.beta(_CLICKS * _ALIKE, (1 - _CLICKS) * _ALIKE, _USERS)
        self.place = rng.random(_USERS)  # of the shopper's hash: the candidate's are those below its share

    def visit(self, share: float) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Some lists: whose, and what came of each."""
        rng = self._rng
        users = np.minimum(np.searchsorted(self._often, rng.random(_LISTS_PER_LOOK)), _USERS - 1)
        rate = self._clicks[users] * np.where(self.place[users] < share, 1.0 - self._drop, 1.0)
        clicked = rng.random(len(users)) < rate
        carted = clicked & (rng.random(len(users)) < _CARTS)
        outcomes = {"slow": rng.random(len(users)) < _SLOW, "clicked": clicked, "carted": carted}
        return users, outcomes, self.bad(len(users))

    def bad(self, lists: int) -> dict[str, np.ndarray]:
        """Which of so many lists went wrong."""
        return {name: self._rng.random(lists) < chance for name, chance in _RARE.items()}


class Step:
    """What was seen in one step."""

    def __init__(self, shop: Shop, share: float, shadow: bool) -> None:
        self._shop, self._share, self._shadow = shop, share, shadow
        self._lists = np.zeros(_USERS, dtype=np.int64)
        self._outcomes = {name: np.zeros(_USERS, dtype=np.int64) for name in ("slow", "clicked", "carted")}
        self._bad = {name: np.zeros(_USERS, dtype=bool) for name in BAD}
        self._first = {name: np.zeros(_USERS, dtype=np.int8) for name in BAD}  # 1 worse, -1 better
        self._shadows = 0

    def look(self) -> Figures:
        """Let some lists be made, and count all."""
        users, outcomes, bad = self._shop.visit(self._share)
        self._lists += np.bincount(users, minlength=_USERS)
        for name, happened in outcomes.items():
            self._outcomes[name] += np.bincount(users[happened], minlength=_USERS)
        for name, happened in bad.items():
            self._bad[name][users[happened]] = True
        if self._shadow:
            self._shadows += len(users)
            for name, other in self._shop.bad(len(users)).items():
                for user, worse in zip(users[other != bad[name]], other[other != bad[name]], strict=True):
                    self._first[name][user] = self._first[name][user] or (1 if worse else -1)
        seen = self._lists > 0
        shadow = Shadowed(
            self._shadows,
            {name: int((first == 1).sum()) for name, first in self._first.items()},
            {name: int((first == -1).sum()) for name, first in self._first.items()},
        )
        return Figures(
            (self._shop.place < self._share)[seen],
            self._lists[seen],
            {name: counts[seen] for name, counts in self._outcomes.items()},
            {name: met[seen].astype(np.int64) for name, met in self._bad.items()},
            shadow,
        )


def rollout(policy: RolloutPolicy, drop: float, seed: int) -> Outcome:
    """One rollout from its beginning to its end.

    Args:
        policy: that it follows.
        drop: of the candidate's click rate.
        seed: of all that is random.
    """
    shop = Shop(np.random.default_rng(seed), drop)
    requests = 0
    for place, step in enumerate(policy.steps):
        seen, began = Step(shop, step.share, step.shadow), requests
        while True:
            figures = seen.look()
            requests += _LISTS_PER_LOOK
            judged = judge(policy, place, figures, (requests - began) / _LISTS_PER_MINUTE)
            if judged.action == "rollback":
                why = tuple(finding.name for finding in judged.findings if finding.status == "worse")
                return Outcome("rollback", requests, step.name, why)
            if judged.action == "advance":
                break
            if requests >= _MOST_LISTS:
                return Outcome("stuck", requests, step.name)
    return Outcome("promoted", requests, "champion")


def run() -> list[Goal]:
    """Equal releases declared different, and releases with 10 % fewer clicks not sent back, of 200 rollouts each."""
    console = Console(width=150)
    policy = load_policy(Path(__file__).parents[1] / "monitoring" / "rollout" / "default.yaml")
    table = Table("truth", "sent back", "promoted", "stuck", "requests until then, median", "90 %", "in step", "by")
    found: dict[float, list[Outcome]] = {}
    for drop in (0.0, 0.1, 0.25, 0.5):
        count = _ROLLOUTS if drop in {0.0, 0.1} else _ROLLOUTS // 4
        outcomes = found[drop] = [rollout(policy, drop, _SEED + number) for number in range(count)]
        ends = Counter(outcome.end for outcome in outcomes)
        of = [one for one in outcomes if one.end == ("rollback" if drop else "promoted")]
        requests = [one.requests for one in of] or [0]
        steps, why = Counter(one.step for one in of), Counter(name for one in of for name in one.why)
        table.add_row(
            f"{drop:.0%} fewer clicks" if drop else "equal",
            f"{ends['rollback'] / count:.1%}",
            f"{ends['promoted'] / count:.1%}",
            f"{ends['stuck'] / count:.1%}",
            f"{np.median(requests):,.0f}",
            f"{np.quantile(requests, 0.9):,.0f}",
            ", ".join(f"{name} {n}" for name, n in steps.most_common()),
            ", ".join(f"{name} {n}" for name, n in why.most_common()),
        )
    console.print(table)
    different = [one.end == "rollback" for one in found[0.0]]
    kept = [one.end != "rollback" for one in found[0.1]]
    return [
        Goal("equal releases declared different, share of 200", float(np.mean(different)), "<=", 0.05),
        Goal("10 % fewer clicks and not sent back, share of 200", float(np.mean(kept)), "<=", 0.05),
    ]
