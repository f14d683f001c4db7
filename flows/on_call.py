"""What on-call hears of flows: that one failed, that it works again, and, by its silence, that none ran."""

from datetime import timedelta
from typing import Any, Final

from prefect.states import State

from tastemaker.observability.alerts import post_alert, resolve_alert
from tastemaker.observability.flow_alerts import failed_alert
from tastemaker.observability.telling import tell_success
from tastemaker.settings import Settings

__all__ = ["DUE", "HOOKS"]

# Within how long after a success the next one is due: the interval of the default schedule, and some room.
DUE: Final = {
    "train": timedelta(hours=26),
    "materialize": timedelta(hours=3),
    "check-drift": timedelta(hours=13),
    "watch-rollout": timedelta(minutes=30),
    "retain": timedelta(hours=26),
}


def _failed(flow: Any, flow_run: Any, state: State[Any]) -> None:
    settings = Settings.from_env()
    link = f"{settings.prefect_url}/runs/flow-run/{flow_run.id}"
    told = " ".join((state.message or "").split())[:300]
    post_alert(settings, failed_alert(flow.name, f"{flow.name} ended {state.name}: {told}", run=link))


def _ended(flow: Any, _flow_run: Any, state: State[Any]) -> None:
    if state.name == "Skipped":  # another run is at it, and will tell
        return
    settings = Settings.from_env()
    resolve_alert(settings, failed_alert(flow.name))
    if flow.name in DUE:
        tell_success(settings, flow.name, due=DUE[flow.name])


HOOKS: Final[dict[str, Any]] = {"on_failure": [_failed], "on_crashed": [_failed], "on_completion": [_ended]}
