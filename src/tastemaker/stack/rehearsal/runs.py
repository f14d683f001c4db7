"""Flow runs that are started, followed side by side, and told as they go on."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tastemaker.stack.flow_runs import FlowRun, FlowRuns

__all__ = ["ToldRuns"]

_BEGUN = frozenset({"Running", "Completed", "Cached"})
_EVERY_S = 1.0  # every look costs the server, which has the same cores


class ToldRuns:
    """Runs on one Prefect server.

    Args:
        prefect_url: base address of the server.
        tell: takes a line for each step that begins.
    """

    def __init__(self, prefect_url: str, tell: Callable[[str], None]) -> None:
        self._runs, self._tell = FlowRuns(prefect_url), tell
        self._titles: dict[str, str] = {}
        self._known: dict[str, set[str]] = {}
        self._ended: dict[str, FlowRun] = {}

    def start(self, title: str, deployment: str, parameters: Mapping[str, Any]) -> str:
        """Start a run; ``title`` is what its steps are told by. Gives its id."""
        run_id = self._runs.start(deployment, dict(parameters))
        self._titles[run_id], self._known[run_id] = title, set()
        return run_id

    def follow(self, run_id: str, when: Mapping[str, Callable[[], None]] | None = None) -> FlowRun:
        """Wait for the end of a run, and tell meanwhile of all runs that go on.

        Args:
            run_id: that was started here.
            when: what is done as a step of it begins, by the beginning of the step's name.
        """
        waiting = dict(when or {})
        while run_id not in self._ended:
            for each in [one for one in self._titles if one not in self._ended]:
                for step in self._look(each):
                    for name in [name for name in waiting if each == run_id and step.startswith(name)]:
                        waiting.pop(name)()
            if run_id not in self._ended:
                time.sleep(_EVERY_S)
        return self._ended[run_id]

    def _look(self, run_id: str) -> list[str]:
        run, known = self._runs.read(run_id), self._known[run_id]
        begun = [task for task, state in run.tasks.items() if task not in known and state in _BEGUN]
        for task in begun:
            known.add(task)
            self._tell(f"  {self._titles[run_id]}: {task}{' (done before)' if run.tasks[task] == 'Cached' else ''}")
        if run.is_final:
            self._ended[run_id] = run
            self._tell(f"  {self._titles[run_id]}: {run.state_name}")
        return begun
