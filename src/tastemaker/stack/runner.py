"""One component's life: wait, start, watch, restart. A thread of its own, so that no component holds up another."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tastemaker.stack import processes
from tastemaker.stack.component import Component, State, Status

__all__ = ["Runner"]

_TICK_S = 0.1
_ASK_S = 1.0  # how often the command is asked for
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 15.0
_STEADY_S = 10.0  # ready for so long: the next failure is a first one again
_GROUP_GRACE_S = 3.0

_Outcome = Literal["died", "done", "replaced", "stopped"]


class Runner:
    """Keeps one component running.

    Args:
        component: what to run.
        env: the environment of the process, without the component's additions.
        token: marks the stack's processes.
        log: file that gets the process's output.
        satisfied: whether a component of that name is ready.
        changed: called after each change of the status.
        say: takes a line for a person.
    """

    def __init__(
        self,
        component: Component,
        *,
        env: dict[str, str],
        token: str,
        log: Path,
        satisfied: Callable[[str], bool],
        changed: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self.component = component
        self.status = Status(component.name, "waiting", since=time.time())
        self._marker = f"{token}:{component.name}"
        self._env = {**env, **component.env, processes.MARKER: self._marker}
        self._log = log
        self._satisfied = satisfied
        self._changed = changed
        self._say = say
        self._stopping = threading.Event()
        self._kill = threading.Event()
        self._restart = threading.Event()
        self._failures = 0
        self._last_error = ""
        self._thread = threading.Thread(target=self._run, name=f"run-{component.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def restart(self) -> None:
        """Start the process again, gracefully; a set-up step runs once more."""
        self._restart.set()

    def stop(self) -> None:
        """Stop the process and wait until it and its descendants are gone."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def kill(self) -> None:
        """Give a stop that is under way no more time."""
        self._kill.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            missing = [name for name in self.component.needs if not self._satisfied(name)]
            if missing:
                self._set("waiting", detail=f"for {', '.join(missing)}")
                self._stopping.wait(_TICK_S)
                continue
            command = self._ask()
            if command is None:
                self._set("waiting", detail=self._last_error or f"for {self.component.waits_for}")
                self._stopping.wait(_ASK_S)
                continue
            outcome, how = self._run_once(command)
            if outcome == "died":
                self._back_off(how)
            elif outcome == "done":
                self._failures = 0
                self._set("done")
                while not self._stopping.is_set() and not self._restart.wait(_TICK_S):
                    pass
        self._set("stopped")

    def _run_once(self, command: list[str]) -> tuple[_Outcome, str]:
        """Run the process until it ends or is ended; nothing of it is left afterwards."""
        self._restart.clear()
        with self._log.open("ab") as log:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._env,
                    cwd=self.component.cwd,
                    start_new_session=True,  # a group of its own, and out of reach of the terminal's Ctrl-C
                )
            except OSError as error:
                return "died", f"cannot start: {error}"
        self._set("starting", pid=process.pid)
        try:
            outcome = self._watch(process.pid, command)
        finally:
            self._terminate(process.pid)
            # Only now is the leader reaped, so that its number cannot have been given to another process before.
            processes.end(processes.members(process.pid, self._marker), 0.0 if self._kill.is_set() else _GROUP_GRACE_S)
            code = process.wait()
        if outcome == "died" and self.component.once and code == 0:
            return "done", ""
        return outcome, _how(code)

    def _watch(self, pid: int, command: list[str]) -> _Outcome:
        began = asked = time.monotonic()
        ready_since = 0.0
        while not self._stopping.wait(_TICK_S):
            if _has_ended(pid):
                break
            now = time.monotonic()
            if self._restart.is_set():
                self._say(f"{self.component.name} is told to restart")
                return "replaced"
            if now - asked >= _ASK_S:
                asked = now
                wanted = self._ask()
                if wanted is not None and wanted != command:
                    self._say(f"{self.component.name} has another command line now and restarts")
                    return "replaced"
            if ready_since:
                if self._failures and now - ready_since >= _STEADY_S:
                    self._failures = 0
            elif not self.component.once and self._is_ready(pid):
                ready_since = time.monotonic()
                self._set("ready", pid=pid)
                self._say(f"{self.component.name} is ready after {ready_since - began:.1f} s")
            elif now - began > self.component.start_timeout_s:
                self._say(f"{self.component.name} is not ready after {now - began:.0f} s and is started anew")
                break
        else:
            return "stopped"
        return "died"

    def _terminate(self, pid: int) -> None:
        """SIGTERM to the leader, which ends its own children in its own way; SIGKILL when its time is up."""
        if not _has_ended(pid):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + self.component.stop_timeout_s
        while not _has_ended(pid):
            if time.monotonic() >= deadline or self._kill.is_set():
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _back_off(self, how: str) -> None:
        self._failures += 1
        seconds = min(_FIRST_BACKOFF_S * 2 ** (self._failures - 1), _MAX_BACKOFF_S)
        self._say(f"{self.component.name} ended ({how}); it starts again in {seconds:g} s, log: {self._log}")
        self.status = replace(self.status, restarts=self.status.restarts + 1)
        self._set("backoff", detail=how)
        self._stopping.wait(seconds)

    def _is_ready(self, pid: int) -> bool:
        try:
            return self.component.ready(pid)
        except Exception as error:  # an answer of an unexpected shape must not end the supervision
            self._say(f"{self.component.name}: its readiness check failed: {error!r}")
            return False

    def _ask(self) -> list[str] | None:
        try:
            command = self.component.command()
        except Exception as error:  # a damaged pointer file must not end the supervision
            if str(error) != self._last_error:
                self._last_error = str(error)
                self._say(f"{self.component.name}: {error}")
            return None
        self._last_error = ""
        return command

    def _set(self, state: State, *, pid: int | None = None, detail: str = "") -> None:
        if (state, pid, detail) != (self.status.state, self.status.pid, self.status.detail):
            self.status = replace(self.status, state=state, pid=pid, detail=detail, since=time.time())
            self._changed()


def _has_ended(pid: int) -> bool:
    """Whether a child has ended, without reaping it."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _how(code: int) -> str:
    return f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
