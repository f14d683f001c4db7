"""What the supervisor runs: one process of the stack, declared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Component", "State", "Status"]

State = Literal["waiting", "starting", "ready", "backoff", "done", "stopped"]


@dataclass(frozen=True)
class Component:
    """One process: how to start it, and how to tell that it works.

    Attributes:
        name: unique in its stack; also the name of its log file.
        command: gives the command line, or None while there is nothing to run yet. It is asked every second, also
            while the process runs: another command line restarts it, and None then changes nothing.
        ready: whether the process with this id does its work; asked until it says yes once. May block for a second
            or two, and must not raise.
        env: variables added to the supervisor's own.
        cwd: working directory; None for the supervisor's.
        needs: components that must be ready before each start.
        waits_for: what a command of None waits for, in words.
        once: a set-up step: it is done when its process exits with 0, and runs again only after a failure.
        start_timeout_s: a process that is not ready by then is started anew.
        stop_timeout_s: what is not gone so long after SIGTERM is killed.
    """

    name: str
    command: Callable[[], list[str] | None]
    ready: Callable[[int], bool] = lambda _pid: True
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    needs: tuple[str, ...] = ()
    waits_for: str = "something to run"
    once: bool = False
    start_timeout_s: float = 180.0
    stop_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Status:
    """How a component is doing.

    Attributes:
        name: of the component.
        state: ``waiting`` for a need or for something to run, ``starting``, ``ready``, ``backoff`` after a failure,
            ``done`` (a set-up step), ``stopped``.
        pid: of its process; None without one.
        restarts: how often it was started again without being told to.
        since: when this state began, in seconds since the epoch.
        detail: what it waits for, or how it ended.
    """

    name: str
    state: State = "stopped"
    pid: int | None = None
    restarts: int = 0
    since: float = 0.0
    detail: str = ""

    @property
    def satisfied(self) -> bool:
        """Whether components that need this one may start."""
        return self.state in {"ready", "done"}
