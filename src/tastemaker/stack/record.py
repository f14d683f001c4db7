"""The record of a running stack, ``run/stack.json``: how other commands find it, its ports and its processes."""

import os
import signal
import time
from pathlib import Path

import msgspec

from tastemaker.errors import StackError
from tastemaker.settings import Settings
from tastemaker.stack import processes
from tastemaker.stack.component import State

__all__ = ["ComponentRecord", "StackRecord", "end_leftovers", "read_stack", "record_path", "stop_stack", "write_record"]


class ComponentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One component; see :class:`tastemaker.stack.component.Status`.

    Attributes:
        log: path of its log file.
        started: identity of its process, ``""`` without one.
    """

    name: str
    state: State
    pid: int | None
    started: str
    restarts: int
    since: float
    detail: str
    log: str

    @property
    def uptime_s(self) -> float:
        """Seconds in this state."""
        return max(time.time() - self.since, 0.0)


class StackRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stack.

    Attributes:
        pid: of its supervisor.
        started: the supervisor's identity.
        since: when it started, in seconds since the epoch.
        token: marks every process of the stack.
        options: the settings that its processes have, ports that were moved included.
        components: in the order of starting.
    """

    pid: int
    started: str
    since: float
    token: str
    options: dict[str, str | int | float | bool]
    components: tuple[ComponentRecord, ...]

    @property
    def settings(self) -> Settings:
        """The settings that the stack's processes have."""
        return Settings.model_validate(self.options)

    @property
    def is_running(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return processes.identity(self.pid) == self.started


def record_path(settings: Settings) -> Path:
    """Where the record of a home is."""
    return settings.run_dir / "stack.json"


def write_record(settings: Settings, record: StackRecord) -> None:
    """Replace the record; a reader sees the old or the new one."""
    path = record_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2))
    temporary.replace(path)


def read_stack(settings: Settings) -> StackRecord | None:
    """The stack that runs on this home; None when none does, whatever an old record says."""
    record = _read(settings)
    return record if record is not None and record.is_running else None


def stop_stack(settings: Settings, timeout: float = 60.0) -> bool:
    """Stop the stack that runs on this home, or what a killed one left behind.

    Returns:
        Whether there was anything to stop.

    Raises:
        StackError: the supervisor is still there after ``timeout`` seconds.
    """
    record = _read(settings)
    if record is None:
        return False
    if not record.is_running or not processes.signal_if(record.pid, record.started, signal.SIGTERM):
        return end_leftovers(settings)
    deadline = time.monotonic() + timeout
    while record.is_running:
        if time.monotonic() >= deadline:
            raise StackError(f"the stack (process {record.pid}) still runs {timeout:g} s after it was told to stop")
        time.sleep(0.05)
    end_leftovers(settings)
    return True


def end_leftovers(settings: Settings) -> bool:
    """End what the processes of a supervisor that is gone left behind, and remove its record.

    Returns:
        Whether any process was left.
    """
    record = _read(settings)
    if record is None or record.is_running:
        return False
    left = processes.marked(record.token)
    processes.end(left, 8.0)
    record_path(settings).unlink(missing_ok=True)
    return bool(left)


def _read(settings: Settings) -> StackRecord | None:
    try:
        return msgspec.json.decode(record_path(settings).read_bytes(), type=StackRecord)
    except (FileNotFoundError, msgspec.MsgspecError):  # none, or written by another version
        return None
