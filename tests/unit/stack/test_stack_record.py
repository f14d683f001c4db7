import os
import subprocess
import time

import pytest
from stack_helpers import FOREVER, python, wait_for

from tastemaker.settings import Settings
from tastemaker.stack import processes
from tastemaker.stack.record import StackRecord, read_stack, record_path, stop_stack, write_record


def record(settings: Settings, pid: int, started: str, token: str = "0123") -> StackRecord:
    return StackRecord(
        pid=pid,
        started=started,
        since=time.time(),
        token=token,
        options=settings.model_dump(mode="json"),
        components=(),
    )


@pytest.fixture
def bystander():
    process = subprocess.Popen(python(FOREVER))
    yield process
    process.kill()
    process.wait()


def test_record_of_a_recycled_process_id_is_no_stack_and_never_signalled(settings, bystander):
    write_record(settings, record(settings, bystander.pid, "another-boot:1:1"))
    assert read_stack(settings) is None
    assert stop_stack(settings) is False
    assert bystander.poll() is None


def test_record_of_a_process_that_is_gone_is_no_stack(settings):
    process = subprocess.Popen(python("pass"))
    process.wait()
    write_record(settings, record(settings, process.pid, f"boot:{process.pid}:1"))
    assert read_stack(settings) is None


def test_damaged_record_is_no_stack(settings):
    settings.run_dir.mkdir(parents=True)
    record_path(settings).write_text("{")
    assert read_stack(settings) is None
    assert stop_stack(settings) is False


def test_record_keeps_moved_ports_and_the_clock(settings):
    moved = settings.model_copy(update={"collector_port": 18081, "clock_offset_us": -42})
    write_record(moved, record(moved, os.getpid(), processes.identity(os.getpid())))
    assert read_stack(settings).settings == moved


def test_leftovers_of_a_killed_supervisor_are_ended_by_their_marker(settings, bystander):
    left = subprocess.Popen(python(FOREVER), env={**os.environ, processes.MARKER: "feed:worker"})
    wait_for(lambda: processes.marked("feed"), "the marker to be readable, a moment after the program began")
    write_record(settings, record(settings, left.pid, "gone:1:1", token="feed"))
    assert stop_stack(settings) is True
    left.wait(10)
    assert bystander.poll() is None
    assert not record_path(settings).exists()
