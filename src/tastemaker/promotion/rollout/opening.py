"""The rollouts of a platform: for the command line and for flows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tastemaker.errors import RolloutError
from tastemaker.lake.tables import Lake
from tastemaker.promotion.releases import ReleaseRegistry
from tastemaker.promotion.rollout.controller import RolloutController
from tastemaker.promotion.rollout.lake_figures import lake_figures
from tastemaker.promotion.rollout.local_target import LocalTarget, ask_recommender
from tastemaker.promotion.rollout.policy import RolloutPolicy, load_policy
from tastemaker.promotion.rollout.store import RolloutStore
from tastemaker.promotion.rollout.target import RolloutTarget
from tastemaker.settings import Settings

__all__ = ["open_rollouts", "open_target", "policy_path", "policy_there"]


def open_rollouts(
    settings: Settings,
    *,
    target: RolloutTarget | None = None,
    options: Callable[[str], dict[str, Any]] | None = None,
) -> RolloutController:
    """The controller of the platform's rollouts.

    Args:
        settings: of the platform.
        target: where releases are served; where absent, what :func:`open_target` opens.
        options: named arguments for calls to the recommender, see
            :func:`~tastemaker.promotion.rollout.local_target.ask_recommender`.
    """
    target = target or open_target(settings, options)
    assigns = isinstance(target, LocalTarget)  # a cluster's router draws for each list
    return RolloutController(
        RolloutStore(settings.rollouts_dir),
        ReleaseRegistry(settings),
        target,
        lambda rollout, now: lake_figures(Lake(settings.lake_dir), rollout, now, by_shopper=assigns),
        settings.clock.now,
    )


def open_target(settings: Settings, options: Callable[[str], dict[str, Any]] | None = None) -> RolloutTarget:
    """Where releases are served: the cluster that the settings name, else the stack's recommender.

    ``settings.cluster_mode`` says how the cluster divides the calls: by a graph (``standard``), or by revisions of one
    service (``knative``).

    Raises:
        RolloutError: there is no way to the cluster, or the place of releases there is the same for all.
    """
    if settings.cluster_storage:
        from tastemaker.promotion.rollout.kserve_cluster import KubernetesCluster
        from tastemaker.promotion.rollout.kserve_knative import KnativeTarget
        from tastemaker.promotion.rollout.kserve_services import Platform
        from tastemaker.promotion.rollout.kserve_target import KServeTarget

        platform = Platform(KubernetesCluster(settings.cluster_namespace), settings.cluster_storage)
        return KnativeTarget(platform) if settings.cluster_mode == "knative" else KServeTarget(platform)
    newest = RolloutStore(settings.rollouts_dir).newest()
    lease_s = 60.0 * newest.rules.lease_minutes if newest is not None and not newest.over else 1_800.0
    return LocalTarget(settings, lambda: ask_recommender(settings, options), lease_s=lease_s)


def policy_path(settings: Settings, name: str) -> Path:
    """The file of a rollout policy."""
    return settings.repository / "monitoring" / "rollout" / f"{name}.yaml"


def policy_there(settings: Settings, name: str = "") -> RolloutPolicy:
    """The rollout policy of a name, for where releases are served.

    Args:
        settings: of the platform.
        name: of the file; empty or ``default``: ``cluster`` where the settings name a cluster.

    Raises:
        DataError: there is none of that name, or it is wrong.
        RolloutError: it has a shadow, and releases are served by a cluster.
    """
    if name in {"", "default"}:
        name = "cluster" if settings.cluster_storage else "default"
    policy = load_policy(policy_path(settings, name))
    shadows = [step.name for step in policy.steps if step.shadow]
    if settings.cluster_storage and shadows:
        raise RolloutError(
            f"the policy {name} has a shadow in its step {shadows[0]}, and nothing in a cluster makes lists that nobody"
            " sees; take the policy cluster, or leave the step out"
        )
    return policy
