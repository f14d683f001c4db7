"""Two workers share the partitions; one that stands still is fenced, and each event counts once all the same."""

import re
from pathlib import Path

import pytest

from benchmarks.fault_stack import fault_stack
from benchmarks.faults import FaultRun, drain, positions
from benchmarks.local_kafka import wait_until
from tastemaker import names
from tastemaker.broker.node import uses_standin
from tastemaker.settings import Settings

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).parents[2]
ALL = {0, 1, 2, 3}  # partitions of the events topic


def _reading(log: Path) -> set[int]:
    """The partitions of the events topic that a worker took up last, as it says itself."""
    said = re.findall(r"reading from (\{.*\})", log.read_text())
    events = re.search(rf"'{names.TOPIC_EVENTS}': {{([^}}]*)}}", said[-1]) if said else None
    return {int(number) for number in re.findall(r"(\d+):", events[1])} if events else set()


@pytest.mark.parametrize("store", ["redis"])
def test_worker_that_stood_still_is_fenced_and_partitions_are_shared_again(store, prepared_home):
    if uses_standin(Settings(repository=REPOSITORY)):
        pytest.skip("the stand-in broker never evicts a dead group member; Apache Kafka needs Java and `make setup`")
    with fault_stack(store, workers=2, repository=REPOSITORY, prepared=prepared_home) as stack:
        faults = FaultRun(stack, seed=11, pause_s=0.2)
        faults.start()
        frozen, other = (stack.log(worker) for worker in stack.workers)

        def shared() -> bool:
            one, two = _reading(frozen), _reading(other)
            return bool(one) and bool(two) and one | two == ALL and not one & two

        wait_until("two workers to share the partitions", shared)
        with faults.load.sending():
            faults.await_progress()
            stack.freeze("worker-0")
            before = positions(stack.settings)[2]
            own = _reading(frozen)
            wait_until("the other worker to have all partitions", lambda: _reading(other) == ALL)

            def all_move() -> bool:
                now = positions(stack.settings)[2]
                return all(now[partition] > before[partition] for partition in own)

            wait_until("the other worker to go on where the frozen one stood", all_move)
            said_before = frozen.stat().st_size
            stack.thaw("worker-0")
            wait_until("the partitions to be shared again", shared)
        drain(stack.settings, stack.check)
        said = frozen.read_bytes()[said_before:].decode()
        # What it had at hand was refused: by the store, or because the group told it first.
        assert "another writer has claimed" in said or "took this worker for dead" in said
        faults.finish()
        assert (faults.outcome.lost, faults.outcome.doubled, faults.outcome.unknown) == (0, 0, 0)
        assert faults.outcome.comparisons[0].examples == []
        assert stack.stop("worker-1") == 0
        wait_until("the worker that stays to have all partitions", lambda: _reading(frozen) == ALL)
