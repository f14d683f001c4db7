"""Automations that come with the platform: each is seeded once, and belongs to the engineer in the Prefect UI then."""

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.automations import AutomationCore
    from prefect.client.orchestration import SyncPrefectClient

__all__ = ["ZOMBIES", "seed_automations"]

ZOMBIES = "Mark runs without a heartbeat as crashed"
_SILENCE_S = 90  # three heartbeats of the 30 s that the stack sets


def seed_automations(client: "SyncPrefectClient", seeded: Collection[str]) -> Iterator[tuple[str, str]]:
    """Create the automations that were never created on this server.

    Args:
        client: of the server.
        seeded: names of those that were.

    Yields:
        What was done (empty where one of that name was there already), and the name; one that an engineer deleted
        stays deleted as long as its name is among ``seeded`` the next time.
    """
    for automation in (_mark_zombies(),):
        if automation.name in seeded:
            continue
        if client.read_automations_by_name(automation.name):
            yield "", automation.name
            continue
        client.create_automation(automation)
        yield f"seeded the automation: {automation.name}", automation.name


def _mark_zombies() -> "AutomationCore":
    """A killed worker's run stays ``Running`` and keeps its place until somebody says that it is gone.

    After Prefect's guide "Detect zombie flows": no sign of life after a heartbeat.
    """
    from prefect.automations import AutomationCore, ChangeFlowRunState, EventTrigger, Posture
    from prefect.client.schemas.objects import StateType

    return AutomationCore(
        name=ZOMBIES,
        description="Frees the place of a run whose process was killed, so that the next one starts.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            # Its next heartbeat, or any state that it goes into; ours have names of their own, such as Blocked.
            expect={"prefect.flow-run.*"},
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=_SILENCE_S),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"No heartbeat for {_SILENCE_S} s: its process is gone. The next run goes on from there.",
            )
        ],
    )
