"""Waiting for a cluster: for a while, and then with the reason why not."""

from collections.abc import Callable
from typing import Any

from tastemaker.errors import RolloutError

__all__ = ["Patience", "condition"]

_STEP_S = 0.5


class Patience:
    """Waits in steps, for some seconds in all.

    Args:
        seconds: in all.
        sleep: waits some seconds.
        now: a clock that never goes back, in seconds.
    """

    def __init__(self, seconds: float, sleep: Callable[[float], None], now: Callable[[], float]) -> None:
        self._seconds, self._sleep, self._now = seconds, sleep, now
        self._until = now() + seconds

    def wait(self, why: str) -> None:
        """Wait one step.

        Raises:
            RolloutError: patience is at its end; with ``why``.
        """
        if self._now() >= self._until:
            raise RolloutError(f"not within {self._seconds:g} s: {why}")
        self._sleep(_STEP_S)


def condition(found: dict[str, Any], kind: str) -> tuple[bool, str]:
    """Whether a condition of an object holds, and if not, everything that its conditions say."""
    conditions = found.get("status", {}).get("conditions", ())
    if any(told["type"] == kind and told["status"] == "True" for told in conditions):
        return True, ""
    said = [
        f"{told['type']} is {told['status']}" + (f" ({told['message']})" if told.get("message") else "")
        for told in conditions
        if told["status"] != "True"
    ]
    return False, "; ".join(said) or "nothing has looked at it yet; is KServe's controller running?"
