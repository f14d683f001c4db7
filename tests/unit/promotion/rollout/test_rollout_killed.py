"""Whoever drives is killed by SIGKILL before or after each durable action; the next one resumes or reverts."""

import os
import signal
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from rollout_parts import World, figures, kill_when

from tastemaker.promotion.rollout.state import NEXT
from tastemaker.promotion.rollout.target import Split


class Counting:
    """Counts the durable actions of a story that nobody interrupts."""

    def __init__(self, world: World) -> None:
        self.calls: Counter[str] = Counter()
        for owner, name in ((world.store, "write"), (world.target, "apply"), (world.registry, "promote")):
            self._count(owner, name)

    def _count(self, owner, name: str) -> None:
        whole = getattr(owner, name)

        def counting(*args, **kwargs):
            self.calls[name] += 1
            return whole(*args, **kwargs)

        setattr(owner, name, counting)


def tell(world: World, story: str, controller, ticks: int = 20):
    """Drive on to the end, as the process that died would have."""
    rollout = world.store.newest()
    for _ in range(ticks):
        world.pass_(hours=2)
        rollout = world.store.newest()
        world.seen = None
        if story == "rollback" and rollout is not None and rollout.step == 2:
            world.seen = figures(share=0.25, users=20_000, errors=400)
        rollout = controller.tick()
        if rollout is None or rollout.over:
            return rollout
    return rollout


def drive_and_die(home: Path, story: str, action: str, place: int, *, after: bool) -> None:
    """Drive a rollout, and be killed at one of its durable actions."""
    world = World(home)
    owner = {"write": world.store, "apply": world.target, "promote": world.registry}[action]
    kill_when(owner, action, place, after=after)
    controller = world.controller()
    controller.start("r2", "recommender:r2", world.policy, by="test")
    if story == "abort":
        controller.abort(by="test", reason="a test")
    elif story == "hold":
        controller.hold(by="test")
        controller.hold(by="test", release=True)
    tell(world, story, controller)


# A story's actions: shadow, three canaries and the promotion write (2 * 4 + 2) states. See test_each_action_is_killed.
PROMOTED = [("write", n) for n in range(1, 11)] + [("apply", n) for n in (1, 3, 5, 7, 9)] + [("promote", 1)]
ROLLED_BACK = [("write", 7), ("write", 8), ("apply", 7)]
ABORTED = [("write", 3), ("write", 4), ("apply", 2), ("apply", 3)]
HELD = [("write", 3), ("write", 4)]
CASES = [
    (story, action, place, when)
    for story, actions in (("promote", PROMOTED), ("rollback", ROLLED_BACK), ("abort", ABORTED), ("hold", HELD))
    for action, place in actions
    for when in ("before", "after")
]


def test_each_action_of_a_promotion_is_among_those_that_are_killed(tmp_path):
    world = World(tmp_path)
    counted = Counting(world)
    controller = world.controller()
    controller.start("r2", "recommender:r2", world.policy, by="test")
    assert tell(world, "promote", controller).phase == "promoted"
    # Each step is applied when it is entered, and again at the one look that ends it.
    assert counted.calls == {"write": 10, "apply": 9, "promote": 1}
    journal = world.store.newest().journal
    reached = {entry.phase for entry in journal}
    assert reached == {"entering", "watching", "promoting", "promoted"}
    assert set(NEXT) == reached | {"reverting", "reverted", "held"}  # which the other stories reach


@pytest.mark.parametrize(("story", "action", "place", "when"), CASES)
def test_a_killed_driver_leaves_nothing_that_the_next_one_does_not_finish(tmp_path, story, action, place, when):
    process = os.fork()
    if not process:
        try:
            drive_and_die(tmp_path, story, action, place, after=when == "after")
        finally:
            os._exit(1)  # it survived, or failed
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL
    world = World(tmp_path)
    left, in_force = world.store.newest(), world.target.read()
    if left is None:  # it died before anything was written: nothing has begun
        assert in_force == Split("r1")
        return
    # What is in force is what the state says, what it said before, or the champion alone: known, in every case.
    champion = world.registry.champion().release
    assert in_force.champion in {"r1", champion}
    assert in_force.candidate in {None, "r2"}
    world.now = left.journal[-1].at
    controller = world.controller()
    ended = tell(world, story, controller)
    if ended.phase == "held":  # it stays so until a person says otherwise, and in force
        assert world.target.read() == ended.split
        controller.hold(by="test", release=True)
        ended = tell(world, story, controller)
    assert ended.over
    expected = "promoted" if story in {"promote", "hold"} else "reverted"
    if story == "abort" and action == "write" and place == 3 and when == "before":
        assert world.store.asked_to_abort() is None  # the request outlived the kill, and was followed
    assert ended.phase == expected
    assert world.target.read() == Split({"promoted": "r2", "reverted": "r1"}[ended.phase])
    assert world.registry.champion().release == {"promoted": "r2", "reverted": "r1"}[ended.phase]
    phases = [entry.phase for entry in ended.journal]
    assert all(later in NEXT[earlier] for earlier, later in pairwise(phases))
