"""The supervisor of a local stack: starts components in order, keeps them running, stops them in reverse."""

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import FrameType

from rich.console import Console

from tastemaker.errors import StackError
from tastemaker.settings import Settings
from tastemaker.stack import processes
from tastemaker.stack.component import Component, Status
from tastemaker.stack.guard import Guard
from tastemaker.stack.lock import StackLock
from tastemaker.stack.logs import LogView, tail
from tastemaker.stack.record import ComponentRecord, StackRecord, end_leftovers, record_path, write_record
from tastemaker.stack.runner import Runner

__all__ = ["Supervisor"]

_HOUSEKEEPING_S = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Runs the components of one home.

    As a context manager it starts and, however the block ends, stops everything.

    Args:
        components: in an order in which each comes after those that it needs.
        settings: of the stack, with the ports as they are used.
        console: where log lines are shown; None for a new one on standard output.
        quiet: keep log lines in the files alone.

    Raises:
        StackError: a component needs one that is not there or comes later.
    """

    def __init__(
        self, components: Sequence[Component], settings: Settings, console: Console | None = None, quiet: bool = False
    ) -> None:
        self._settings = settings
        self._token = secrets.token_hex(8)
        self._since = time.time()
        self._lock = StackLock(settings)
        self._guard: Guard | None = None
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._changed = threading.Event()
        self._old_handlers: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}
        self._logs = LogView(
            settings.run_dir / "logs",
            tuple(component.name for component in components),
            None if quiet else console or Console(),
        )
        env = {**os.environ, **settings.to_env(), "PYTHONUNBUFFERED": "1"}
        self._runners: dict[str, Runner] = {}
        for component in components:
            for need in component.needs:
                if need not in self._runners:
                    raise StackError(f"component {component.name} needs {need}, which does not come before it")
            self._runners[component.name] = Runner(
                component,
                env=env,
                token=self._token,
                log=self._logs.path(component.name),
                satisfied=self._is_satisfied,
                changed=self._changed.set,
                say=self._logs.say,
            )
        self._housekeeper = threading.Thread(target=self._keep_house, name="housekeeping", daemon=True)

    def __enter__(self) -> "Supervisor":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start in the background.

        In the main thread it also makes SIGTERM end the program through ``SystemExit``, so that a ``with`` block or
        ``finally`` stops the stack.

        Raises:
            StackError: a stack runs on this home already.
        """
        self._lock.acquire()
        end_leftovers(self._settings)  # of a supervisor that was killed
        if threading.current_thread() is threading.main_thread():
            self._handle(signal.SIGTERM, _exit)
            if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
                # A shell starts background jobs with SIGINT ignored. Children would inherit that, and Prefect's
                # worker, which stops by sending itself SIGINT, would never end.
                self._handle(signal.SIGINT, signal.default_int_handler)
        self._guard = Guard(self._token)
        self._logs.start()
        self._write_record()
        for runner in self._runners.values():
            runner.start()
        self._housekeeper.start()

    def statuses(self) -> list[Status]:
        """How each component is doing, in the order of starting."""
        return [runner.status for runner in self._runners.values()]

    def wait_ready(
        self,
        names: Iterable[str] | None = None,
        timeout: float = 180.0,
        on_progress: Callable[[list[Status]], None] | None = None,
    ) -> None:
        """Wait until components are ready.

        Args:
            names: which; None for all.
            timeout: in seconds.
            on_progress: told the statuses of these components about four times a second.

        Raises:
            StackError: one is not ready in time, with the end of its log, or the stack is being stopped.
        """
        wanted = [self._runner(name) for name in (self._runners if names is None else names)]
        deadline = time.monotonic() + timeout
        while True:
            statuses = [runner.status for runner in wanted]
            if on_progress is not None:
                on_progress(statuses)
            late = [status for status in statuses if not status.satisfied]
            if not late:
                return
            if self._stopping.wait(0.25):
                raise StackError("the stack is being stopped")
            if time.monotonic() >= deadline:
                raise StackError(f"not ready after {timeout:g} s:\n" + "\n".join(map(self._explain, late)))

    def restart(self, name: str) -> None:
        """Restart a component, gracefully.

        Raises:
            StackError: there is none of that name.
        """
        self._runner(name).restart()

    def stop(self) -> None:
        """Stop all components, the last started first, and return when nothing of them is left."""
        if self._stopping.is_set():
            self._stopped.wait()
            return
        self._stopping.set()
        for runner in reversed(self._runners.values()):
            runner.stop()
        if self._housekeeper.ident is not None:
            self._housekeeper.join()
        if self._guard is not None:
            processes.end(processes.marked(self._token), 0.0)
            self._guard.dismiss()
            self._logs.say("everything is stopped")
            self._logs.stop()
            record_path(self._settings).unlink(missing_ok=True)
        self._lock.release()
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._stopped.set()

    def run_forever(self) -> None:
        """Block until SIGINT, SIGTERM or SIGHUP, then stop; a second signal kills what still takes its time.

        Call it in the main thread; starts the stack when that was not done before.
        """
        if self._guard is None:
            self.start()
        asked = threading.Event()

        def on_signal(*_: object) -> None:
            if asked.is_set():
                for runner in self._runners.values():
                    runner.kill()
            asked.set()

        for number in _SIGNALS:
            self._handle(number, on_signal)
        while not asked.wait(0.5):
            pass
        self._logs.say("stopping; again to kill")
        stopper = threading.Thread(target=self._stop_components, name="stop")
        stopper.start()
        while stopper.is_alive():  # the main thread stays free to take the second signal
            stopper.join(0.1)
        self.stop()

    def _stop_components(self) -> None:
        for runner in reversed(self._runners.values()):
            runner.stop()

    def _handle(self, number: signal.Signals, handler: Callable[..., object]) -> None:
        previous = signal.signal(number, handler)
        self._old_handlers.setdefault(number, previous)

    def _runner(self, name: str) -> Runner:
        try:
            return self._runners[name]
        except KeyError:
            raise StackError(f"no component is called {name!r}; one of {', '.join(self._runners)}") from None

    def _is_satisfied(self, name: str) -> bool:
        return self._runners[name].status.satisfied

    def _explain(self, status: Status) -> str:
        log = self._logs.path(status.name)
        detail = f" ({status.detail})" if status.detail else ""
        return f"{status.name}: {status.state}{detail}; its log, {log}, ends with\n{tail(log, 8)}"

    def _keep_house(self) -> None:
        while not self._stopping.is_set():
            if self._changed.wait(_HOUSEKEEPING_S):
                self._changed.clear()
                self._write_record()
            if self._guard is not None and not self._stopping.is_set():
                self._guard.watch()

    def _write_record(self) -> None:
        started = processes.identity(os.getpid())
        assert started is not None
        components = tuple(
            ComponentRecord(
                name=status.name,
                state=status.state,
                pid=status.pid,
                started=(processes.identity(status.pid) or "") if status.pid else "",
                restarts=status.restarts,
                since=status.since,
                detail=status.detail,
                log=str(self._logs.path(status.name)),
            )
            for status in self.statuses()
        )
        write_record(
            self._settings,
            StackRecord(
                pid=os.getpid(),
                started=started,
                since=self._since,
                token=self._token,
                options=self._settings.model_dump(mode="json"),
                components=components,
            ),
        )


def _exit(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)
