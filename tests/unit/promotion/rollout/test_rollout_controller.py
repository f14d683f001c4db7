"""The way of a rollout: its steps, who may change it, and what ends it."""

import multiprocessing

import pytest
from rollout_parts import World, figures

from tastemaker.errors import DataError, RolloutError
from tastemaker.promotion.rollout.running import running_rollout
from tastemaker.promotion.rollout.target import Split


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def begun(world):
    controller = world.controller()
    controller.start("r2", "recommender:r2", world.policy, by="eva")
    return controller


def test_a_good_release_goes_through_all_steps_and_becomes_champion(world, begun):
    in_force = [world.target.read()]
    while True:
        world.pass_(hours=2)
        rollout = begun.tick()
        in_force.append(world.target.read())
        if rollout.over:
            break
    assert in_force == [
        Split("r1", "r2", 0.0, shadow=True),
        Split("r1", "r2", 0.05),
        Split("r1", "r2", 0.25),
        Split("r1", "r2", 0.5),
        Split("r2"),
    ]
    assert rollout.phase == "promoted"
    champion = world.registry.champion()
    assert (champion.release, champion.bento, champion.previous.release) == ("r2", "recommender:r2", "r1")
    assert rollout.journal[0].by == "eva"
    assert rollout.journal[-2].evidence.action == "advance"  # what the figures said is kept with the decision
    assert begun.tick() == rollout  # nothing comes after the end


def test_too_early_looks_wait(world, begun):
    for _ in range(5):
        assert (begun.tick().phase, begun.tick().step) == ("watching", 0)
    assert begun.tick().judged.action == "wait"


def test_a_bad_release_goes_back_with_its_evidence(world, begun):
    world.pass_(hours=2)
    begun.tick()
    world.seen = figures(share=0.05, errors=30)
    rollout = begun.tick()
    assert rollout.phase == "reverted"
    assert world.target.read() == Split("r1")
    reverting = rollout.journal[-2]
    assert (reverting.phase, reverting.by) == ("reverting", "rollout")
    assert "30 of the candidate's shoppers met an error" in reverting.reason
    assert reverting.evidence.action == "rollback"
    assert world.registry.champion().release == "r1"


def test_a_held_rollout_stays_and_still_goes_back_when_it_gets_worse(world, begun):
    begun.hold(by="eva", reason="the sale begins")
    world.pass_(hours=3)
    assert (begun.tick().phase, begun.tick().step) == ("held", 0)
    begun.advance(by="eva")
    world.pass_(hours=3)
    assert (world.store.newest().phase, world.store.newest().step) == ("watching", 1)
    begun.hold(by="eva")
    world.seen = figures(share=0.05, errors=30)
    assert begun.tick().phase == "reverted"


def test_an_abort_is_in_force_before_the_driver_is_waited_for(world, begun):
    rollout = begun.abort(by="eva", reason="complaints")
    assert (rollout.phase, world.target.read()) == ("reverted", Split("r1"))
    assert rollout.journal[-2].reason == "complaints"
    assert world.store.asked_to_abort() is None
    begun.start("r2", "recommender:r2", world.policy, by="eva")  # and it may be tried again
    assert world.target.read().candidate == "r2"


def test_an_abort_that_cannot_get_the_wheel_is_followed_by_the_next_look(world, begun):
    begun._patience_s = 0.0
    with world.store.driving(), pytest.raises(RolloutError, match="another process is at work"):
        begun.abort(by="eva", reason="complaints")
    assert world.target.read() == Split("r1")  # in force all the same
    rollout = begun.tick()
    assert (rollout.phase, rollout.journal[-2].reason) == ("reverted", "complaints")


def test_a_candidate_that_does_not_load_goes_back(world, begun):
    world.pass_(hours=2)
    world.target.problem = "the recommender cannot load r2: its ranker is not there"
    rollout = begun.tick()
    assert rollout.phase == "reverted"
    assert "its ranker is not there" in rollout.journal[-2].reason


def test_what_is_no_longer_in_force_is_noticed_and_begins_its_step_again(world, begun):
    world.pass_(hours=2)
    begun.tick()
    began = world.store.newest().since
    world.target.apply(Split("r1"))  # a lease ran out
    world.pass_(hours=2)
    rollout = begun.tick()
    assert (rollout.phase, rollout.step, world.target.read()) == ("watching", 1, Split("r1", "r2", 0.05))
    assert rollout.since > began  # what was seen before counts no more: shoppers got other lists meanwhile
    assert "no longer in force" in rollout.journal[-2].reason


def test_another_champion_ends_it_and_keeps_the_shoppers(world, begun):
    world.registry.promote("r9", "recommender:r9")
    rollout = begun.tick()
    assert rollout.phase == "reverted"
    assert "the champion is now r9" in rollout.journal[-2].reason
    assert world.target.read() == Split("r9")


@pytest.mark.parametrize(("on_timeout", "phase"), [("hold", "held"), ("rollback", "reverted")])
def test_a_step_that_takes_too_long_does_what_the_policy_says(tmp_path, on_timeout, phase):
    world = World(tmp_path, on_timeout=on_timeout)
    controller = world.controller()
    controller.start("r2", "recommender:r2", world.policy, by="eva")
    world.seen = figures(share=0.0, users=10, each=1)
    world.pass_(hours=25)
    rollout = controller.tick()
    assert rollout.phase == phase
    assert rollout.journal[-1 if phase == "held" else -2].reason.startswith("after 25.0 hours: 0 of 200 lists")


def test_two_rollouts_at_once_are_refused(world, begun):
    with pytest.raises(RolloutError, match="the rollout of r2 is watching"):
        begun.start("r3", "recommender:r3", world.policy, by="eva")


def test_without_a_champion_or_against_itself_nothing_begins(tmp_path, world):
    with pytest.raises(RolloutError, match="is the champion already"):
        world.controller().start("r1", "recommender:r1", world.policy, by="eva")
    empty = World(tmp_path / "empty")
    (empty.directory / "champion.json").unlink()
    with pytest.raises(RolloutError, match="no champion to compare"):
        empty.controller().start("r2", "recommender:r2", empty.policy, by="eva")


@pytest.mark.parametrize("command", ["advance", "hold", "abort"])
def test_commands_without_a_rollout_say_how_to_begin_one(world, command):
    with pytest.raises(RolloutError, match="rollout start RELEASE"):
        getattr(world.controller(), command)(by="eva")
    assert world.controller().tick() is None


def test_a_damaged_file_says_what_to_do(world, begun):
    (path,) = (world.directory / "rollouts").glob("*.json")
    path.write_text('{"id": 3}')
    with pytest.raises(DataError, match="look at it, and remove it"):
        begun.tick()
    with pytest.raises(DataError, match="look at it, and remove it"):
        running_rollout(world.directory / "rollouts")


def _drive_at_once(home, gate, results) -> None:
    world = World(home)
    world.pass_(hours=2)
    controller = world.controller()
    gate.wait()
    try:
        results.put(controller.tick().step)
    except RolloutError:
        results.put("waited")


def test_two_drivers_at_once_take_one_step(tmp_path, world, begun):
    context = multiprocessing.get_context("fork")
    gate, results = context.Barrier(2), context.Queue()
    drivers = [context.Process(target=_drive_at_once, args=(tmp_path, gate, results)) for _ in range(2)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(30)
    found = sorted(str(results.get(timeout=5)) for _ in drivers)
    # One takes the step and the other is refused, or looks afterwards: the step is then too young for a further one.
    assert found in (["1", "waited"], ["1", "1"])
    assert [entry.phase for entry in world.store.newest().journal] == ["entering", "watching", "entering", "watching"]
