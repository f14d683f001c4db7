"""Time and memory of ``tastemaker demo --once``, every process that it starts included."""

import os
import subprocess
import sys
import tempfile
import time

import psutil

from benchmarks.goal import Goal

__all__ = ["run"]


def _resident(process: psutil.Process) -> int:
    """Memory of a process and its descendants in bytes, shared pages divided among those who share them."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def run() -> list[Goal]:
    """The demo from an empty home: at most 4 minutes and 6 GiB in all its processes."""
    with tempfile.TemporaryDirectory() as home:
        started = time.monotonic()
        demo = subprocess.Popen(
            [sys.executable, "-m", "tastemaker.cli", "demo", "--once"], env={**os.environ, "TASTEMAKER_HOME": home}
        )
        peak = 0
        watched = psutil.Process(demo.pid)
        while demo.poll() is None:
            peak = max(peak, _resident(watched))
            time.sleep(1)
        minutes = (time.monotonic() - started) / 60
    if demo.returncode:
        raise SystemExit(f"the demo failed with status {demo.returncode}")
    return [
        Goal("demo, wall time", minutes, "<=", 4, " min"),
        Goal("demo, peak memory", peak / 2**30, "<=", 6, " GiB"),
    ]
