"""The supervisor in a process of its own, ended from outside."""

import json
import os
import signal
import subprocess
import sys

import pytest
from stack_helpers import wait_for

from tastemaker.stack import processes
from tastemaker.stack.record import read_stack, stop_stack

# Two components; the second has a child that left its group, as a Bento server's or a Prefect worker's may.
PROGRAM = """
import json, os, sys
from tastemaker.settings import Settings
from tastemaker.stack.component import Component
from tastemaker.stack.supervisor import Supervisor

child = "import os, time, sys\\nif os.fork() == 0: os.setsid()\\nopen(sys.argv[1] + str(os.getpid()), 'w')\\n"
child += "while True: time.sleep(0.05)"
home = sys.argv[1]
line = lambda name: [sys.executable, "-I", "-S", "-c", child, os.path.join(home, name + ".")]
made = lambda name: sum(entry.startswith(name + ".") for entry in os.listdir(home)) == 2
components = [Component(name, lambda name=name: line(name), ready=lambda _, name=name: made(name)) for name in "ab"]
supervisor = Supervisor(components, Settings(home=home))
supervisor.run_forever()
"""


@pytest.fixture
def stack(settings):
    """A running stack of four processes; yields its supervisor and their identities."""
    settings.home.mkdir()
    # With SIGINT ignored, as a shell starts a background job: a stack that came up from one must still stop.
    supervisor = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", PROGRAM, str(settings.home)],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: (r := read_stack(settings)) and all(c.state == "ready" for c in r.components), "the stack")
    pids = [int(path.suffix[1:]) for path in settings.home.glob("[ab].*")]
    known = {pid: processes.identity(pid) for pid in pids}
    assert len(known) == 4
    assert None not in known.values()
    yield supervisor, known
    supervisor.kill()
    supervisor.communicate()
    for pid, identity in known.items():
        processes.signal_if(pid, identity, signal.SIGKILL)


def gone(known):
    return all(processes.identity(pid) != identity for pid, identity in known.items())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_everything_and_ends_with_status_zero(stack, settings, number):
    supervisor, known = stack
    supervisor.send_signal(number)
    output, _ = supervisor.communicate(timeout=30)
    assert supervisor.returncode == 0
    assert gone(known)
    assert read_stack(settings) is None
    assert "a     │" not in output  # these components print nothing
    assert "stack │ everything is stopped" in output


def test_stop_from_another_process_waits_until_all_is_gone(stack, settings):
    supervisor, known = stack
    assert stop_stack(settings, 30) is True
    assert gone(known)
    assert supervisor.wait(10) == 0


def test_killed_supervisor_leaves_no_process(stack):
    supervisor, known = stack
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: gone(known), "the guard to end what was left")


def test_guard_that_was_killed_is_replaced(stack):
    supervisor, known = stack

    def guards():
        listed = subprocess.check_output(["ps", "-o", "pid=,args=", "--ppid", str(supervisor.pid)], text=True)
        return [int(line.split()[0]) for line in listed.splitlines() if "tastemaker.stack.guard" in line]

    (first,) = guards()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: guards() not in ([], [first]), "another guard")
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: gone(known), "the second guard to do its work")


def test_json_of_the_record_is_readable_by_other_tools(stack, settings):
    raw = json.loads((settings.run_dir / "stack.json").read_text())
    assert [entry["name"] for entry in raw["components"]] == ["a", "b"]
    assert raw["options"]["collector_port"] == settings.collector_port
