"""The lock of a flow, against real processes that are really killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.sole import SoleRun
from tastemaker.settings import Settings

_HOLD = """
import sys, time
from flows.sole import SoleRun
from tastemaker.settings import Settings
assert not SoleRun.acquire(sole := SoleRun(Settings.from_env({}, home=sys.argv[1]), "train"))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({}, home=tmp_path)


def test_acquire_while_a_process_lives_names_it_and_after_its_kill_succeeds(settings: Settings) -> None:
    paths = os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")]))
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(settings.home)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        sole = SoleRun(settings, "train")
        assert sole.acquire() == f"process {holder.pid} is at train already"
        assert SoleRun(settings, "retain").acquire() == ""  # flows of other names go on
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
    assert sole.acquire() == ""


def test_acquire_waits_for_as_long_as_it_was_told(settings: Settings) -> None:
    first, waits = SoleRun(settings, "train"), []
    assert first.acquire() == ""

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            first.release()

    assert SoleRun(settings, "train").acquire(patience_s=60, sleep=sleep) == ""
    assert len(waits) == 3


def test_acquire_gives_up_when_its_patience_ends(settings: Settings) -> None:
    first, waits = SoleRun(settings, "train"), []
    assert first.acquire() == ""
    assert "is at train already" in SoleRun(settings, "train").acquire(patience_s=2.0, sleep=waits.append)
    assert sum(waits) == 2.0
    first.release()


def test_acquire_with_a_damaged_lock_file_works_and_tells_nobody_s_name(settings: Settings) -> None:
    path = settings.run_dir / "flows" / "train.lock"
    path.parent.mkdir(parents=True)
    path.write_text("{ half a line")
    first = SoleRun(settings, "train")
    assert first.acquire() == ""
    path.write_text("")  # its holder had no time to say who it is
    assert SoleRun(settings, "train").acquire() == "another process is at train already"
