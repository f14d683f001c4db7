"""Watching without a rollout, and telling of one that was taken back: once, whoever took it back."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tastemaker.observability.alerts import waiting_alerts
from tastemaker.observability.outbox import Waiting
from tastemaker.promotion.rollout.policy import load_policy
from tastemaker.promotion.rollout.state import Rollout, Transition
from tastemaker.promotion.rollout.store import RolloutStore
from tastemaker.settings import Settings

pytestmark = pytest.mark.timeout(300)

HERE = Path(__file__).parents[3]
NOW = datetime(2024, 5, 1, tzinfo=UTC)


def _taken_back(rollout_id: str) -> Rollout:
    journal = [("entering", "started"), ("reverting", "clicks fell by half"), ("reverted", "the champion has all")]
    return Rollout(
        id=rollout_id,
        candidate="r2",
        bento="recommender:r2",
        champion="r1",
        policy=load_policy(HERE / "monitoring" / "rollout" / "rehearsal.yaml").model_dump(mode="json"),
        phase="reverted",
        step=1,
        journal=tuple(
            Transition(at=NOW, phase=phase, step="canary-50", reason=reason, by="rollout") for phase, reason in journal
        ),
    )


def _told_of_rollbacks(settings: Settings) -> list[Waiting]:
    """What waits for Alertmanager, but for what every flow tells as it ends."""
    return [one for one in waiting_alerts(settings) if one.alert.name == "ReleaseRolledBack"]


def test_watch_without_any_rollout_ends_at_once(settings: Settings) -> None:
    from flows.watch import watch_rollout_flow

    state = watch_rollout_flow(return_state=True)
    assert (state.name, state.is_completed()) == ("NoRollout", True)
    assert _told_of_rollbacks(settings) == []


def test_watch_tells_of_a_rollback_once_and_of_the_next_one_again(settings: Settings) -> None:
    from flows.watch import watch_rollout_flow

    store = RolloutStore(settings.rollouts_dir)
    with store.driving():
        store.write(_taken_back("20240501t000000-r2"))
    state = watch_rollout_flow(return_state=True)
    assert (state.name, state.message) == ("Reverted", "r2, canary-50: clicks fell by half")
    (told,) = _told_of_rollbacks(settings)
    assert told.alert.summary == "r2 was taken back on local, r1 serves again: clicks fell by half"

    for path in (settings.observability_dir / "waiting").glob("*.json"):
        path.unlink()
    watch_rollout_flow(return_state=True)
    assert _told_of_rollbacks(settings) == []

    with store.driving():
        store.write(_taken_back("20240502t000000-r2"))
    watch_rollout_flow(return_state=True)
    assert len(_told_of_rollbacks(settings)) == 1
