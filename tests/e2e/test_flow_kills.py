"""A training that is killed, with and without its worker: the next run starts, alone, and goes on from what is kept."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from small_shop import open_shop

from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.settings import Settings
from tastemaker.stack.components import local_components
from tastemaker.stack.flow_runs import FlowRuns
from tastemaker.stack.supervisor import Supervisor
from tests.e2e.own_ports import own_ports
from tests.e2e.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PREFECT = ("prefect-server", "flows", "prefect-worker")
LEAKS, TRAIN = "look for features that know the label", "train two-tower and ranker"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Supervisor]]:
    root = tmp_path_factory.mktemp("killed")
    settings = Settings.from_env({}, home=root / "home", repository=Path(__file__).parents[2])
    settings = own_ports(open_shop(settings, root))
    with Supervisor(local_components(settings, only=PREFECT), settings, quiet=True) as supervisor:
        supervisor.wait_ready(timeout=300)
        yield settings, supervisor


def _holder(settings: Settings) -> int | None:
    """The process that trains, by the lock that it holds."""
    try:
        return int(json.loads((settings.run_dir / "flows" / "train.lock").read_text())["pid"])
    except (OSError, ValueError, KeyError):
        return None


def _log(settings: Settings, run: str) -> str:
    body = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200}
    return "\n".join(
        line["message"] for line in httpx.post(f"{settings.prefect_url}/api/logs/filter", json=body, timeout=30).json()
    )


def test_a_killed_worker_and_its_run_make_room_for_the_next_run_which_goes_on(
    stack: tuple[Settings, Supervisor],
) -> None:
    settings, supervisor = stack
    runs = FlowRuns(settings.prefect_url)
    parameters = {"promote": False, "seed": 1}
    first = runs.start("train/default", parameters)
    wait_for("the training", lambda: runs.read(first).tasks.get(TRAIN) == "Running")
    worker = next(status.pid for status in supervisor.statuses() if status.name == "prefect-worker")
    holder = _holder(settings)
    assert worker is not None
    assert holder is not None
    os.kill(worker, signal.SIGKILL)  # first, so that nobody is left who sees the other one die
    os.kill(holder, signal.SIGKILL)
    second = runs.start("train/default", parameters)

    # Prefect believes in the first run, and keeps the second one waiting, until no heartbeat came for 90 s.
    assert runs.read(first).state_name == "Running"
    wait_for("the dead run to be noticed", lambda: runs.read(first).state_type == "CRASHED")
    assert runs.read(second).state_type != "COMPLETED"
    done = wait_for("the second run", lambda: (run := runs.read(second)).is_final and run)
    # 4,320 events and 40 customers are too few for the default policy.
    assert (done.state_name, done.tasks[LEAKS]) == ("Blocked", "Cached")
    assert len(ReleaseRegistry(settings).list()) == 1


def test_a_run_that_is_killed_after_training_leaves_the_release_to_the_next_one(
    stack: tuple[Settings, Supervisor],
) -> None:
    settings, _ = stack
    runs = FlowRuns(settings.prefect_url)
    parameters = {"promote": False, "seed": 2}
    first = runs.start("train/default", parameters)
    known = set((settings.home / "training").glob("*/trained.json"))
    kept = wait_for("the trained release", lambda: set((settings.home / "training").glob("*/trained.json")) - known)
    holder = _holder(settings)
    assert holder is not None
    os.kill(holder, signal.SIGKILL)
    # The worker sees it die, and says so at once.
    wait_for("the kill to be noticed", lambda: runs.read(first).state_type == "CRASHED", 60)
    files = json.loads(kept.pop().read_text())

    second = runs.start("train/default", parameters)
    done = wait_for("the second run", lambda: (run := runs.read(second)).is_final and run)
    assert done.state_name == "Blocked"
    assert "a run before this one had trained it already" in _log(settings, second)
    newest = ReleaseRegistry(settings).list()[0]
    assert files.items() <= newest.manifest.files.items()
