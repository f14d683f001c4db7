import os
import signal
from pathlib import Path

import pytest
from stack_helpers import FOREVER, component, python, wait_for

from tastemaker.errors import StackError
from tastemaker.stack import processes
from tastemaker.stack.component import Component
from tastemaker.stack.record import read_stack, record_path, stop_stack
from tastemaker.stack.supervisor import Supervisor


def status(supervisor: Supervisor, name: str):
    return next(status for status in supervisor.statuses() if status.name == name)


def test_component_killed_comes_back_as_another_process(supervise):
    supervisor = supervise(component("a"))
    supervisor.wait_ready(["a"], 20)
    first = status(supervisor, "a").pid
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: status(supervisor, "a").state == "ready" and status(supervisor, "a").pid != first, "a restart")
    assert status(supervisor, "a").restarts == 1


def test_component_that_always_fails_backs_off_longer_and_says_how_it_ended(supervise, settings):
    supervisor = supervise(component("a", "raise SystemExit(3)", ready=lambda _: False))
    wait_for(lambda: status(supervisor, "a").restarts >= 3, "three failures")
    wait_for(lambda: status(supervisor, "a").state == "backoff", "the pause after the third")
    assert status(supervisor, "a").detail == "exit status 3"
    said = (settings.run_dir / "logs" / "stack.log").read_text()
    # 0.5 s after the first failure, doubled after each further one.
    assert "starts again in 0.5 s" in said
    assert "starts again in 1 s" in said
    assert "starts again in 2 s" in said


def test_command_of_none_waits_until_there_is_one(supervise, tmp_path):
    pointer = tmp_path / "pointer"
    waiting = Component("a", lambda: python(FOREVER) if pointer.exists() else None, waits_for="a release")
    supervisor = supervise(waiting)
    wait_for(lambda: status(supervisor, "a").detail == "for a release", "the reason")
    assert status(supervisor, "a").pid is None
    pointer.touch()
    supervisor.wait_ready(["a"], 20)


def test_changed_command_restarts_gracefully_and_none_keeps_the_process(supervise, tmp_path):
    pointer, farewell = tmp_path / "pointer", tmp_path / "farewell"
    pointer.write_text("one")
    code = (
        "import signal, sys, time, pathlib\n"
        f"signal.signal(15, lambda *_: (pathlib.Path({str(farewell)!r}).write_text(sys.argv[1]), sys.exit()))\n"
        f"pathlib.Path({str(tmp_path)!r}, 'up-' + sys.argv[1]).touch()\n"
        "while True: time.sleep(0.05)"
    )
    asked: list[str | None] = []

    def command() -> list[str] | None:
        asked.append(pointer.read_text() if pointer.exists() else None)
        return [*python(code), asked[-1]] if asked[-1] else None

    supervisor = supervise(Component("a", command, ready=lambda _: (tmp_path / f"up-{asked[-1]}").exists()))
    supervisor.wait_ready(["a"], 20)
    first = status(supervisor, "a").pid
    pointer.unlink()
    before = len(asked)
    wait_for(lambda: len(asked) >= before + 2, "two questions without an answer")
    assert status(supervisor, "a").pid == first
    pointer.write_text("two")
    wait_for((tmp_path / "up-two").exists, "the second process")
    assert farewell.read_text() == "one"  # SIGTERM reached it, and it had time to say so
    assert status(supervisor, "a").restarts == 0  # a planned restart is no failure


def test_damaged_pointer_is_told_and_waited_for(supervise):
    def command() -> list[str]:
        raise ValueError("the pointer is damaged")

    supervisor = supervise(Component("a", command))
    wait_for(lambda: status(supervisor, "a").detail == "the pointer is damaged", "the reason")


def test_dependent_starts_only_after_its_need_is_ready(supervise, tmp_path):
    gate = tmp_path / "gate"
    supervisor = supervise(component("a", ready=lambda _: gate.exists()), component("b", needs=("a",)))
    wait_for(lambda: status(supervisor, "a").state == "starting", "a to start")
    wait_for(lambda: status(supervisor, "b").detail == "for a", "b to wait")
    assert status(supervisor, "b").pid is None
    gate.touch()
    supervisor.wait_ready(["a", "b"], 20)


def test_setup_step_is_repeated_until_it_succeeds_and_then_done(supervise, tmp_path):
    code = (
        f"import pathlib, sys; p = pathlib.Path({str(tmp_path / 'tries')!r})\n"
        "n = len(p.read_text()) + 1 if p.exists() else 1; p.write_text('x' * n); sys.exit(n < 2)"
    )
    supervisor = supervise(component("setup", code, once=True), component("b", needs=("setup",)))
    supervisor.wait_ready(["setup", "b"], 20)
    assert status(supervisor, "setup").state == "done"
    assert (tmp_path / "tries").read_text() == "xx"  # it failed once, succeeded once, and did not run again


def test_restart_on_request_gives_a_new_process(supervise):
    supervisor = supervise(component("a"))
    supervisor.wait_ready(["a"], 20)
    first = status(supervisor, "a").pid
    supervisor.restart("a")
    wait_for(lambda: status(supervisor, "a").state == "ready" and status(supervisor, "a").pid != first, "a restart")


@pytest.mark.parametrize("escape", ["", "os.setsid()"], ids=["same_group", "own_session"])
def test_descendants_of_a_killed_component_are_ended_before_it_starts_again(supervise, tmp_path, escape):
    pid_file = tmp_path / "child"
    code = (
        "import os, time, pathlib\n"
        "if os.fork() == 0:\n"
        f"    {escape or 'pass'}\n"
        f"    pathlib.Path({str(pid_file)!r} + '.tmp').write_text(str(os.getpid()))\n"
        f"    os.rename({str(pid_file)!r} + '.tmp', {str(pid_file)!r})\n"
        "while True: time.sleep(0.05)"
    )
    supervisor = supervise(component("a", code, ready=lambda _: pid_file.exists()))
    supervisor.wait_ready(["a"], 20)
    leader, child = status(supervisor, "a").pid, int(pid_file.read_text())
    before = processes.identity(child)
    assert before is not None
    pid_file.unlink()
    os.kill(leader, signal.SIGKILL)
    wait_for(pid_file.exists, "the next start")
    assert processes.identity(child) != before


def test_stop_goes_in_reverse_order_and_leaves_no_process(supervise, tmp_path):
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(0.2)\n"
        f"    open({str(order)!r}, 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(15, end)\n"
        "open(sys.argv[2], 'w').close()\n"
        "while True: time.sleep(0.05)"
    )
    names = "abc"
    components = [
        Component(
            name,
            lambda name=name: [*python(code), name, str(tmp_path / f"up-{name}")],
            ready=lambda _, name=name: (tmp_path / f"up-{name}").exists(),
            needs=tuple(names[: names.index(name)]),
        )
        for name in names
    ]
    supervisor = supervise(*components)
    supervisor.wait_ready(None, 20)
    pids = {status.pid: processes.identity(status.pid) for status in supervisor.statuses()}
    supervisor.stop()
    assert order.read_text() == "cba"
    assert all(processes.identity(pid) is None for pid in pids)


def test_process_that_ignores_sigterm_is_killed_when_its_time_is_up(supervise, tmp_path):
    code = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(tmp_path / 'up')!r}, 'w')\n{FOREVER}"
    supervisor = supervise(component("a", code, ready=lambda _: (tmp_path / "up").exists(), stop_timeout_s=0.2))
    supervisor.wait_ready(["a"], 20)
    pid = status(supervisor, "a").pid
    supervisor.stop()
    assert processes.identity(pid) is None


def test_output_is_kept_in_files_and_the_last_run_beside_it(supervise, settings):
    supervise(component("a", f"print('first', flush=True)\n{FOREVER}")).stop()
    log = settings.run_dir / "logs" / "a.log"
    supervisor = supervise(component("a", f"print('second', flush=True)\n{FOREVER}"))
    wait_for(lambda: log.read_text() == "second\n", "the second run's line")
    supervisor.stop()
    assert Path(f"{log}.1").exists()


def test_wait_ready_gives_up_with_the_end_of_the_log(supervise):
    supervisor = supervise(component("a", f"print('the reason', flush=True)\n{FOREVER}", ready=lambda _: False))
    with pytest.raises(StackError, match="the reason"):
        supervisor.wait_ready(["a"], 1.5)


def test_need_that_comes_later_is_refused(settings):
    with pytest.raises(StackError, match="component b needs a"):
        Supervisor([component("b", needs=("a",)), component("a")], settings, quiet=True)


def test_second_stack_on_the_same_home_is_refused_with_its_holder(supervise, settings):
    supervise(component("a"))
    with pytest.raises(StackError, match=rf"process {os.getpid()}\b.*tastemaker down"):
        Supervisor([component("a")], settings, quiet=True).start()


def test_home_can_be_used_again_after_stop(supervise):
    supervise(component("a")).stop()
    supervise(component("a")).wait_ready(None, 20)


def test_record_tells_processes_ports_and_settings(supervise, settings):
    supervisor = supervise(component("a"))
    supervisor.wait_ready(["a"], 20)
    wait_for(lambda: (r := read_stack(settings)) and r.components[0].state == "ready", "the record")
    record = read_stack(settings)
    assert record.pid == os.getpid()
    assert record.settings == settings
    assert record.components[0].pid == status(supervisor, "a").pid
    assert record.components[0].started == processes.identity(record.components[0].pid)
    supervisor.stop()
    assert read_stack(settings) is None
    assert not record_path(settings).exists()
    assert stop_stack(settings) is False
