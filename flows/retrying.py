"""When a task is worth another try: not after an answer that stays the same."""

from typing import Any

from prefect.states import State

from tastemaker.errors import DataError, GateRejected

__all__ = ["RETRIES", "is_worth_another_try"]


def is_worth_another_try(_task: object, _run: object, state: State[Any]) -> bool:
    """Whether a failed task may end otherwise: data that cannot be used stay so, and a gate's no stays a no."""
    return not isinstance(state.result(raise_on_failure=False), DataError | GateRejected)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [5, 30, 120],
    "retry_condition_fn": is_worth_another_try,
}
