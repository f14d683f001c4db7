"""No two runs of a flow at once on one home, whatever Prefect believes.

Prefect's own limit counts runs by their state: the run of a killed worker is marked as crashed after a while although
its process may live on, and a limit can be lifted in the UI. The kernel knows better: it holds a lock for as long as
the process lives, and frees it with the process, whatever killed it.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable
from typing import IO

from prefect.runtime import flow_run

from tastemaker.settings import Settings

__all__ = ["SoleRun"]

_LOOK_S = 0.5


class SoleRun:
    """The place of the one run of a flow.

    Args:
        settings: whose home.
        name: of the flow; flows of different names do not exclude each other.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._path = settings.run_dir / "flows" / f"{name}.lock"
        self._name = name
        self._file: IO[str] | None = None

    def acquire(self, patience_s: float = 0.0, sleep: Callable[[float], None] = time.sleep) -> str:
        """Take the place.

        Args:
            patience_s: how long to wait for whoever has it, in seconds.
            sleep: waits some seconds.

        Returns:
            Empty when it was taken; else who has it, in words.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+")
        waited = 0.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if waited >= patience_s:
                    holder = self._holder(file)
                    file.close()
                    return holder
            sleep(_LOOK_S)
            waited += _LOOK_S
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "run": str(flow_run.get_name() or "")}))
        file.flush()
        self._file = file
        return ""

    def release(self) -> None:
        """Leave it to the next one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _holder(self, file: IO[str]) -> str:
        file.seek(0)
        try:
            told = json.loads(file.read())
            who = f"run {told['run']}, process {told['pid']}" if told["run"] else f"process {told['pid']}"
        except (ValueError, KeyError):  # it is just taking it
            who = "another process"
        return f"{who} is at {self._name} already"
