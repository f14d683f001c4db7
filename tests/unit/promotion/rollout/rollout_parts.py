"""A target, a registry and figures for tests of rollouts: files and memory, no recommender."""

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from tastemaker.durable import replace_file
from tastemaker.errors import RolloutError
from tastemaker.promotion.champion import Champion, locked, read_champion, write_champion
from tastemaker.promotion.rollout.controller import RolloutController
from tastemaker.promotion.rollout.figures import BAD, OUTCOMES, Figures, Shadowed
from tastemaker.promotion.rollout.policy import RolloutPolicy, load_policy
from tastemaker.promotion.rollout.store import RolloutStore
from tastemaker.promotion.rollout.target import Split

POLICY_FILE = Path(__file__).parents[4] / "monitoring" / "rollout" / "default.yaml"
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def policy(**changes) -> RolloutPolicy:
    return load_policy(POLICY_FILE).model_copy(update=changes)


class FileTarget:
    """What is in force is one file, as it is in a cluster: it outlives whoever applied it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problem: str | None = None
        self.applied: list[Split] = []

    def read(self) -> Split | None:
        return msgspec.json.decode(self._path.read_bytes(), type=Split) if self._path.exists() else None

    def apply(self, split: Split) -> None:
        if self.problem and split.candidate:
            raise RolloutError(self.problem)
        self.applied.append(split)
        replace_file(self._path, msgspec.json.encode(split))


class Registry:
    """The champion pointer of the real registry, without releases behind it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def champion(self) -> Champion | None:
        return read_champion(self._directory)

    def require_promotable(self, release: str) -> None:
        pass

    def promote(self, release: str, bento: str, *, rollout: bool = False) -> Champion:
        with locked(self._directory):
            standing = read_champion(self._directory)
            if standing is not None and standing.release == release:
                return standing
            made = Champion(release=release, bento=bento, promoted_at=BEGAN, previous=standing)
            write_champion(self._directory, made)
        return made


def figures(
    *, share: float, users: int = 4_000, each: int = 10, clicks: float = 0.13, drop: float = 0.0, **bad: int
) -> Figures:
    """Shoppers with the same number of lists, of whom so many of the candidate's met something bad."""
    ours = np.arange(users) < round(share * users)
    lists = np.full(users, each, dtype=np.int64)
    # Rates hold exactly: in turn, each shopper clicks as often as is missing to them.
    rate = np.where(ours, clicks * (1 - drop), clicks)
    clicked = np.zeros(users, dtype=np.int64)
    for side in (ours, ~ours):
        clicked[side] = np.diff(np.floor(np.cumsum(rate[side] * each)), prepend=0.0).astype(np.int64)
    met = {name: np.zeros(users, dtype=np.int64) for name in BAD}
    for name, count in bad.items():
        met[name][:count] = 1
    outcomes = {name: np.zeros(users, dtype=np.int64) for name in OUTCOMES} | {"clicked": clicked}
    return Figures(ours, lists, outcomes, met)


class World:
    """A rollout of r2 against r1, whose time passes as a test says."""

    def __init__(self, home: Path, **changes) -> None:
        self.home = home
        self.directory = home / "releases"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.target = FileTarget(home / "in-force.json")
        self.registry = Registry(self.directory)
        self.store = RolloutStore(self.directory / "rollouts")
        self.policy = policy(**changes)
        self.now = BEGAN
        self.seen: Figures | None = None
        if self.registry.champion() is None:
            self.registry.promote("r1", "recommender:r1")
            self.target.apply(Split("r1"))

    def controller(self) -> RolloutController:
        return RolloutController(
            self.store, self.registry, self.target, self._figures, lambda: self.now, patience_s=5.0
        )

    def _figures(self, rollout, now) -> Figures:
        if self.seen is not None:
            return self.seen
        share = rollout.at.share
        found = figures(share=share, users=20_000)
        return found if share else Figures(**{**vars(found), "shadow": Shadowed(2_000)})

    def pass_(self, **time) -> None:
        self.now += timedelta(**time)


def kill_when(monkeyable: object, name: str, count: int, *, after: bool) -> None:
    """Let this process die by SIGKILL at the ``count``-th call of a method, before or after it."""
    whole = getattr(monkeyable, name)
    calls = 0

    def dying(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*args, **kwargs)
        if calls == count and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(monkeyable, name, dying)
