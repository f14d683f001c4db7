"""Each model in a child process: its peak memory is its own, and its crash stops no other."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from tastemaker.evaluation.benchmark.child import FAILED, Settings
from tastemaker.evaluation.benchmark.lists import Lists

__all__ = ["Failure", "Outcome", "finished", "run_model"]

_GRACE_S = 10  # between asking a child to end and ending it


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one model did.

    Attributes:
        lists: for every test user.
        measured: ``training_minutes``, ``scoring_seconds``, ``peak_memory_mib``, ``seed``, ``report``.
    """

    lists: Lists
    measured: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """Why a model has no lists.

    Attributes:
        error: what it said, or how it ended.
        log: what it printed.
    """

    error: str
    log: Path


def finished(out: Path) -> Outcome | None:
    """The outcome that an earlier run left at this path (without suffix); None if it did not get to the end."""
    measured, ranked = out.with_name(out.name + ".json"), out.with_name(out.name + ".npz")
    if not measured.exists() or not ranked.exists():
        return None
    with np.load(ranked) as arrays:
        shown = arrays["shown"]
        lists = Lists(shown, arrays["novel"] if "novel" in arrays.files else shown)
    return Outcome(lists, json.loads(measured.read_text()))


def run_model(
    directory: Path, name: str, out: Path, settings: Settings, progress: Callable[[str], None]
) -> Outcome | Failure:
    """Run a model to its end.

    Args:
        directory: of the task.
        name: of the model.
        out: where its results go, without suffix; what it prints goes to ``<out>.log``.
        settings: see there.
        progress: told what happens.
    """
    log = out.with_name(out.name + ".log")
    command = [sys.executable, "-m", "tastemaker.evaluation.benchmark.child"]
    error = ""
    with log.open("w") as printed:
        child = subprocess.Popen(
            [*command, str(directory), name, str(out), json.dumps(asdict(settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            text=True,
        )
        try:
            assert child.stdout is not None
            for message in _messages(child.stdout):
                error = message.get("error", error)
                if "progress" in message:
                    progress(message["progress"])
            status = child.wait()
        finally:
            _end(child)
    outcome = finished(out) if status == 0 else None
    return outcome or Failure(error if status == FAILED and error else _ending(status), log)


def _messages(lines: IO[str]) -> Any:
    for line in lines:
        yield json.loads(line)


def _end(child: subprocess.Popen[str]) -> None:
    """End a child that still runs, because its parent was interrupted."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _ending(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    reason = "; the system probably had no memory left" if -status == signal.SIGKILL else ""
    return f"its process was ended by {name}{reason}"
