"""Processes by identity: a process id alone may belong to someone else by the time it is used (Linux ``/proc``)."""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["MARKER", "end", "identity", "marked", "members", "signal_if", "started_at"]

MARKER = "TASTEMAKER_STACK_PROCESS"
"""Environment variable that names the stack and the component; every descendant inherits it."""

_PROC = Path("/proc")


def identity(pid: int) -> str | None:
    """A string that no other process has or will have; None when the process is gone or a zombie."""
    fields = _stat(pid)
    if fields is None or fields[0] in {"Z", "X"}:
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{pid}:{fields[19]}"


def started_at(pid: int) -> float:
    """When a process started, in seconds since the epoch; 0 when it is gone."""
    fields = _stat(pid)
    if fields is None:
        return 0.0
    up = float((_PROC / "uptime").read_text().split()[0])
    return time.time() - up + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def signal_if(pid: int, expected: str, number: signal.Signals) -> bool:
    """Signal a process if it still is the one that is meant.

    Args:
        pid: where it was.
        expected: its :func:`identity`.
        number: which signal.

    Returns:
        False when that process is gone.
    """
    try:
        handle = os.pidfd_open(pid)  # from here on the handle means one process, whatever becomes of the number
    except OSError:
        return False
    try:
        if identity(pid) != expected:
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def marked(marker: str) -> list[int]:
    """Live processes whose environment began with ``MARKER=marker`` or ``MARKER=marker:...``."""
    wanted = f"{MARKER}={marker}".encode()
    found = []
    for pid in _pids():
        try:
            environ = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:  # gone, or another user's
            continue
        if any(entry == wanted or entry.startswith(wanted + b":") for entry in environ):
            found.append(pid)
    return found


def members(leader: int, marker: str) -> list[int]:
    """Live processes of a component other than its leader.

    Those in the leader's process group or session, and those that left both but inherited the marker. The first
    matter where a process wrote its title over its environment. Call it while the leader is not yet reaped: until
    then nobody else can have its number.
    """
    found = set(marked(marker))
    for pid in _pids():
        fields = _stat(pid)
        if fields is not None and fields[0] not in {"Z", "X"} and leader in {int(fields[2]), int(fields[3])}:
            found.add(pid)
    return sorted(found - {leader, os.getpid()})


def end(pids: Iterable[int], grace_s: float) -> None:
    """SIGTERM, and SIGKILL for what is left after ``grace_s`` seconds."""
    targets = {pid: known for pid in pids if (known := identity(pid)) is not None}
    for number in (signal.SIGTERM, signal.SIGKILL):
        targets = {pid: known for pid, known in targets.items() if signal_if(pid, known, number)}
        deadline = time.monotonic() + (grace_s if number is signal.SIGTERM else 2.0)
        while targets and time.monotonic() < deadline:
            time.sleep(0.02)
            targets = {pid: known for pid, known in targets.items() if identity(pid) == known}


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir(_PROC) if entry.isdigit()]


def _stat(pid: int) -> list[str] | None:
    """The fields of ``/proc/PID/stat`` after the name: state, parent, group, session, ...; start time is the 20th."""
    with suppress(OSError):
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return None
