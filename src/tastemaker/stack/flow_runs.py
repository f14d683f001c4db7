"""Start a flow run on the stack's Prefect server and follow it, over Prefect's REST API.

Plain HTTP instead of Prefect's client, because importing Prefect takes seconds and the command line must answer at
once.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tastemaker.errors import StackError

__all__ = ["FlowRun", "FlowRuns"]

_FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class FlowRun:
    """One run as it stands.

    Attributes:
        id: its id.
        name: the name in the UI.
        state_type: SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CRASHED, CANCELLED, ...
        state_name: the state's own name, such as ``Blocked`` for a completed run whose gate said no.
        message: the state's message, if any.
        tasks: state name by task name, in the order in which they started.
        url: its page in the UI.
    """

    id: str
    name: str
    state_type: str
    state_name: str
    message: str
    tasks: dict[str, str]
    url: str

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.state_type in _FINAL


class FlowRuns:
    """Runs of the deployments on one Prefect server.

    Args:
        prefect_url: base address of the server.
        patience_s: how long a server that is busy or coming back is asked again, in seconds.
        transport: of the HTTP client; for tests.
    """

    def __init__(
        self, prefect_url: str, patience_s: float = 30.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._url = prefect_url
        self._patience_s = patience_s
        self._client = httpx.Client(base_url=f"{prefect_url}/api", timeout=30, transport=transport)

    def _call(self, method: str, path: str, **body: Any) -> Any:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                response = self._client.request(method, path, json=body or None)
                problem = "" if response.status_code != httpx.codes.SERVICE_UNAVAILABLE else response.text
            except httpx.HTTPError as error:
                problem = str(error) or type(error).__name__
            if not problem:
                break
            # Prefect says 503 while its SQLite file is locked; a killed server is back within seconds.
            if time.monotonic() >= deadline:
                raise StackError(
                    f"Prefect at {self._url} does not answer ({problem}); start the stack with: tastemaker up"
                )
            time.sleep(0.5)
        if response.status_code == httpx.codes.NOT_FOUND:
            raise StackError(f"Prefect knows no {path}; deploy the flows with: python -m flows.deploy")
        if response.is_error:
            raise StackError(f"Prefect answered {response.status_code} to {method} {path}: {response.text[:500]}")
        return response.json() if response.content else None

    def start(self, deployment: str, parameters: dict[str, Any], key: str = "") -> str:
        """Start a run.

        Args:
            deployment: ``flow/deployment``.
            parameters: the flow's parameters, JSON-able.
            key: a run that was started with the same key before is found instead; empty: always another run.

        Returns:
            The run's id.

        Raises:
            StackError: the server does not answer or has no such deployment.
        """
        found = self._call("GET", f"/deployments/name/{deployment}")
        run: dict[str, str] = self._call(
            "POST",
            f"/deployments/{found['id']}/create_flow_run",
            parameters=parameters,
            state={"type": "SCHEDULED"},
            idempotency_key=key or str(uuid.uuid4()),  # asking again never starts a second run
        )
        return run["id"]

    def read(self, run_id: str) -> FlowRun:
        """A run as it stands now."""
        run = self._call("GET", f"/flow_runs/{run_id}")
        tasks = self._call(
            "POST", "/task_runs/filter", flow_runs={"id": {"any_": [run_id]}}, sort="EXPECTED_START_TIME_ASC", limit=200
        )
        state = run.get("state") or {}
        return FlowRun(
            id=run_id,
            name=run["name"],
            state_type=run["state_type"],
            state_name=run["state_name"],
            message=state.get("message") or "",
            tasks={task["name"]: task["state_name"] for task in tasks},
            url=f"{self._url}/runs/flow-run/{run_id}",
        )

    def stop_schedules(self, deployment: str) -> None:
        """Let a deployment run only when it is asked to.

        Raises:
            StackError: the server does not answer or has no such deployment.
        """
        found = self._call("GET", f"/deployments/name/{deployment}")
        for schedule in found["schedules"]:
            self._call("PATCH", f"/deployments/{found['id']}/schedules/{schedule['id']}", active=False)

    def waiting(self, flow: str, parameters: dict[str, Any]) -> FlowRun | None:
        """The newest run of a flow that waits for a person; None when none does.

        Args:
            flow: its name.
            parameters: those that the run was started with; others do not matter.
        """
        found = self._call(
            "POST",
            "/flow_runs/filter",
            flows={"name": {"any_": [flow]}},
            flow_runs={"state": {"type": {"any_": ["PAUSED"]}}},
            sort="EXPECTED_START_TIME_DESC",
            limit=200,
        )
        for run in found:
            if parameters.items() <= run["parameters"].items():
                return self.read(run["id"])
        return None

    def answer(self, run_id: str, given: dict[str, Any]) -> None:
        """Answer a run that waits for input, which goes on with it.

        Raises:
            StackError: the run does not wait, its time is over, or the input does not fit its form. Prefect says all
                of that with HTTP 200.
        """
        answered = self._call("POST", f"/flow_runs/{run_id}/resume", run_input=given)
        if answered["status"] != "ACCEPT":
            reason = (answered.get("details") or {}).get("reason") or "it gives no reason"
            raise StackError(f"Prefect did not take the answer to run {run_id} ({answered['status']}): {reason}")

    def follow(
        self, run_id: str, interval: float = 1.0, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[FlowRun]:
        """Yield the run again and again until it has ended; the last one is final."""
        while True:
            run = self.read(run_id)
            yield run
            if run.is_final:
                return
            sleep(interval)
