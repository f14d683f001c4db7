"""A release that may go live does so: step by step beside the champion, or at once where there is none."""

from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.deployments import run_deployment

from flows.retrying import RETRIES
from tastemaker.promotion.bento import build_bento
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.promotion.rollout.kserve_champion import serve_champion
from tastemaker.promotion.rollout.opening import open_rollouts, policy_there
from tastemaker.promotion.rollout.store import RolloutStore
from tastemaker.settings import Settings

__all__ = ["ask_a_person", "go_live"]


@task(cache_policy=NO_CACHE, **RETRIES, task_run_name="build the Bento of {release}, and bring it live")
def go_live(settings: Settings, release: str, rollout: str) -> tuple[Literal["Promoted", "RollingOut"], str]:
    """Promote a release, or begin its rollout. A run that was killed here may be made again.

    Args:
        settings: of the platform.
        release: its id; it passed the gate, and a person agreed where one had to.
        rollout: name of a policy in ``monitoring/rollout/``; empty promotes at once, as does a lack of a champion.

    Returns:
        What was done, and with what: the Bento's tag, or the rollout's id.

    Raises:
        GateRejected: it may not go live, or another rollout runs.
        RolloutError: the recommender does not follow.
    """
    registry = ReleaseRegistry(settings)
    champion = registry.champion()
    if champion is not None and champion.release == release:
        serve_champion(settings, patience_s=60.0)  # a run that was killed may not have come to it
        return "Promoted", champion.bento
    running = RolloutStore(settings.rollouts_dir).newest()
    if running is not None and not running.over and running.candidate == release:
        return "RollingOut", running.id
    registry.require_promotable(release)
    policy = policy_there(settings, rollout) if rollout else None
    bento = build_bento(settings, release)
    if champion is None or policy is None:
        promoted = registry.promote(release, bento)
        serve_champion(settings, patience_s=60.0)  # where it is no cluster, the recommender follows by itself
        return "Promoted", promoted.bento
    return "RollingOut", open_rollouts(settings).start(release, bento, policy, by="flow").id


@task(cache_policy=NO_CACHE, **RETRIES, task_run_name="ask a person")
def ask_a_person(release: str, rollout: str) -> str:
    """Start the flow that waits for the decision; once, however often this is tried.

    Args:
        release: that passed the gate.
        rollout: see :func:`go_live`.

    Returns:
        The run's name.
    """
    run = run_deployment(
        "promote/default",
        parameters={"release": release, "rollout": rollout},
        timeout=0,
        as_subflow=False,
        idempotency_key=f"promote-{release}",
        tags=[release],
    )
    return str(run.name)
